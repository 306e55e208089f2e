//! Links that are made while the process runs: their definitions stand in our own topic on the
//! target's cluster, and every process that knows the cluster runs them.
//!
//! Schema Linking calls such a link an exporter of its source; so does everything here that speaks its
//! language.

mod asked;
mod clash;
mod crew;
mod definition;
mod desk;
mod endpoint;
mod fence;
mod keeping;
mod purge;
mod refused;
mod resting;
mod seen;
mod shadowed;
mod shelf;

pub use self::asked::Asked;
pub use self::crew::Crew;
pub use self::definition::ContextType;
pub use self::definition::Exporter;
pub use self::definition::RENAMES_KEY;
pub use self::definition::Wanted;
pub use self::desk::Desk;
pub use self::endpoint::Endpoint;
pub use self::endpoint::Endpoints;
pub use self::fence::Owner;
pub use self::refused::Refused;
pub use self::resting::Resting;
pub use self::seen::Described;
pub use self::seen::ExporterState;
pub use self::seen::ExporterStatus;
pub use self::seen::FixedLink;
pub use self::shadowed::Deleted;

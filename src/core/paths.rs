//! Names that paths over HTTP begin with.

/// What the process answers itself at the top of its address, now or later. Everything else there is
/// the name of a cluster, so no cluster can have one of these names.
pub const OWN_STEPS: [&str; 11] = [
    "live",
    "ready",
    "metrics",
    "links",
    "exporters",
    "clusters",
    "incidents",
    "api",
    "ui",
    "assets",
    "static",
];

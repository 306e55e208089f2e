//! ASSOC values.

use super::Digest;
use super::canonical_value;
use super::last_of_each;
use super::meaning_of;
use super::read_object;
use crate::core::json::string;
use crate::core::key::Association;
use crate::core::subject::Subject;

/// What an ASSOC value says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AssociationValue {
    /// The value's own bytes.
    pub bytes: Box<[u8]>,
    /// The resource's own id: of several associations of one id and type a registry fails to choose.
    pub resource_id: Box<str>,
    /// Digest of everything but the subject.
    pub meaning: Digest,
}

/// Reads an ASSOC value.
///
/// # Errors
/// What a registry would skip or misread, in words.
pub fn read_association(bytes: &[u8], key: &Association) -> Result<AssociationValue, String> {
    let (object, whole) = read_object(bytes)?;
    let mut resource_id = None;
    let mut required = vec!["guid", "tenant", "resourceId", "lifecycle"];
    required.extend(key.resource().map(|(name, _)| name));
    let mut all = Vec::new();
    for field in last_of_each(&object, whole) {
        let (name, raw) = field?;
        let raw = raw.text;
        // A registry fills in the time of creation when it reads.
        if raw == "null" || matches!(&*name, "offset" | "ts" | "createTs") {
            continue;
        }
        let text = || string(raw).ok_or_else(|| format!("its {name} is no string"));
        if name == "subject" {
            let spelled = text()?;
            if Subject::parse(&spelled) != key.subject {
                return Err(format!("its key says {}, its value says {spelled}", key.subject));
            }
            continue;
        }
        if required.contains(&&*name) {
            let said = text()?;
            let named = key.resource().into_iter().find(|(of, _)| *of == name);
            match (&*name, named) {
                (_, Some((_, named))) if named != said => {
                    return Err(format!("its key says {name} {named}, its value says {said}"));
                }
                ("lifecycle", _) if !matches!(&*said, "STRONG" | "WEAK") => {
                    return Err(format!("its lifecycle {said} is none"));
                }
                ("resourceId", _) => resource_id = Some(Box::<str>::from(&*said)),
                (_, _) => {}
            }
            required.retain(|missing| *missing != name);
        }
        if name != "frozen" || raw != "false" {
            all.push((name.into_owned(), canonical_value(raw)));
        }
    }
    match (required.first(), resource_id) {
        (None, Some(resource_id)) => Ok(AssociationValue {
            bytes: bytes.into(),
            resource_id,
            meaning: meaning_of(&Digest::of(b"association"), &mut all),
        }),
        (missing, _) => Err(format!("its value has no {}", missing.unwrap_or(&"resourceId"))),
    }
}

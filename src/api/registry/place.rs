//! Where a request leads: its path with contexts and aliases resolved, as registries resolve them
//! before they look at anything else.

use std::collections::BTreeMap;

use super::Refusal;
use crate::core::catalog::Catalog;
use crate::core::subject::Subject;

/// A request's path and query, read.
#[derive(Debug)]
pub(super) struct Place {
    /// The steps of the path, none of them empty.
    pub(super) steps: Vec<String>,
    /// The parts of the query.
    pub(super) parts: Parts,
}

/// The parts of a query; of a name that occurs twice the first.
#[derive(Debug, Default)]
pub(super) struct Parts(BTreeMap<String, String>);

impl Parts {
    fn of(query: &str) -> Self {
        let mut parts = BTreeMap::new();
        for part in query.split('&').filter(|part| !part.is_empty()) {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            let value = decoded(&value.replace('+', " "));
            parts.entry(decoded(&name.replace('+', " "))).or_insert(value);
        }
        Self(parts)
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Everything but `true` is not.
    pub(super) fn switch(&self, name: &str) -> bool {
        self.text(name).is_some_and(|given| given.eq_ignore_ascii_case("true"))
    }

    /// A number, as Java reads one.
    pub(super) fn number(&self, name: &str, absent: i32) -> Result<i32, Refusal> {
        match self.text(name) {
            None | Some("") => Ok(absent),
            Some(given) => given.parse().map_err(|_| Refusal::NotANumber),
        }
    }
}

impl Place {
    pub(super) fn of(path: &str, query: &str, catalog: &Catalog) -> Result<Self, Refusal> {
        let mut steps: Vec<String> =
            path.split('/').filter(|step| !step.is_empty()).map(decoded).collect();
        let mut parts = Parts::of(query);
        if steps.len() > 1 && steps.first().is_some_and(|step| step == "contexts") {
            let context = qualifier(&steps.remove(1))?;
            steps.remove(0);
            enter(&context, &mut steps, &mut parts);
        }
        follow_aliases(catalog, &mut steps, &mut parts);
        Ok(Self { steps, parts })
    }
}

/// What stands before the names of a context's subjects: nothing for the default one.
fn qualifier(given: &str) -> Result<String, Refusal> {
    let name = given.strip_prefix(':').unwrap_or(given);
    let name = name.strip_suffix(':').unwrap_or(name);
    if name.contains(':') {
        return Err(Refusal::Context);
    }
    let dot = if name.starts_with('.') { "" } else { "." };
    let name = format!("{dot}{name}");
    Ok(if name == "." { String::new() } else { format!(":{name}:") })
}

/// A path below `/contexts/{context}` is the same path for names of that context.
fn enter(context: &str, steps: &mut Vec<String>, parts: &mut Parts) {
    let qualified =
        |name: &str| if is_qualified(name) { name.to_owned() } else { format!("{context}{name}") };
    match steps.first().map(String::as_str) {
        Some("config" | "mode") if steps.len() == 1 => {
            if !context.is_empty() {
                steps.push(context.to_owned());
            }
        }
        Some("config" | "mode" | "subjects") if steps.len() > 1 => {
            if let Some(name) = steps.get_mut(1) {
                *name = qualified(name);
            }
        }
        Some("compatibility") if steps.get(1).is_some_and(|step| step == "subjects") => {
            if let Some(name) = steps.get_mut(2) {
                *name = qualified(name);
            }
        }
        Some("schemas" | "subjects") => {
            let by_id = steps.get(1).is_some_and(|step| step == "ids");
            if by_id || steps.len() == 1 {
                let part = if by_id { "subject" } else { "subjectPrefix" };
                let given = parts.0.entry(part.to_owned()).or_default();
                *given = qualified(given);
            }
        }
        Some(_) | None => {}
    }
}

fn is_qualified(name: &str) -> bool {
    name.starts_with(":.") || name.starts_with(":*:")
}

/// A name whose settings name another one stands for that one.
fn follow_aliases(catalog: &Catalog, steps: &mut [String], parts: &mut Parts) {
    let meant = |name: &str| {
        let alias = catalog.alias_of(&Subject::parse(name));
        alias.map(|alias| alias.spelled())
    };
    let place = steps.iter().position(|step| step == "subjects");
    let name = place.and_then(|place| steps.get_mut(place.saturating_add(1)));
    if let Some(name) = name
        && let Some(alias) = meant(name)
    {
        *name = alias;
    }
    let by_id =
        steps.iter().zip(["schemas", "ids"]).filter(|(step, wanted)| step == wanted).count() == 2;
    if by_id
        && let Some(name) = parts.0.get_mut("subject")
        && let Some(alias) = meant(name)
    {
        *name = alias;
    }
}

/// Text without its percent signs. What is no code stays as it is, what is no UTF-8 becomes U+FFFD.
pub(in crate::api) fn decoded(text: &str) -> String {
    if !text.contains('%') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text;
    while let Some((plain, behind)) = rest.split_once('%') {
        bytes.extend_from_slice(plain.as_bytes());
        let code = behind.get(..2).filter(|code| code.bytes().all(|c| c.is_ascii_hexdigit()));
        match code.and_then(|code| u8::from_str_radix(code, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = behind.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(b'%');
                rest = behind;
            }
        }
    }
    bytes.extend_from_slice(rest.as_bytes());
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::core::dialect::Dialect;
    use crate::core::rules::Compatibility;

    #[track_caller]
    fn check(path: &str, query: &str, expected: &str) {
        let catalog = Catalog::new(Dialect::Auto, Compatibility::Backward);
        let told = match Place::of(path, query, &catalog) {
            Ok(Place { steps, parts: Parts(parts) }) => {
                let parts: Vec<String> =
                    parts.iter().map(|(name, value)| format!(" {name}={value}")).collect();
                format!("{}{}", steps.join("|"), parts.concat())
            }
            Err(refusal) => format!("{refusal:?}"),
        };
        assert_eq!(told, expected, "{path}?{query}");
    }

    #[test]
    fn codes_and_blanks_in_a_path_are_read() {
        check("/subjects/%3A.a%3Ab%2Fc/versions/", "", "subjects|:.a:b/c|versions");
        check("//subjects//x+y", "a+b=c+d%2B&a+b=2&e", "subjects|x+y a b=c d+ e=");
        check("/subjects/50%/%zz%4", "", "subjects|50%|%zz%4");
        check("/subjects/%C3%A4%ff", "", "subjects|ä\u{fffd}");
    }

    #[test]
    fn what_stands_below_a_context_is_meant_in_it() {
        check("/contexts", "", "contexts");
        check("/contexts/.s", "", "");
        check("/contexts/.s/contexts", "", "contexts");
        check("/contexts/s/subjects/x/versions", "", "subjects|:.s:x|versions");
        check("/contexts/:.s:/subjects/%3A.t%3Ax/versions", "", "subjects|:.t:x|versions");
        check("/contexts/.s/subjects", "", "subjects subjectPrefix=:.s:");
        check("/contexts/.s/schemas", "subjectPrefix=x", "schemas subjectPrefix=:.s:x");
        check("/contexts/.s/schemas/types", "", "schemas|types");
        check("/contexts/.s/schemas/ids/1/schema", "", "schemas|ids|1|schema subject=:.s:");
        check("/contexts/.s/schemas/ids/1", "subject=x", "schemas|ids|1 subject=:.s:x");
        check("/contexts/.s/config", "", "config|:.s:");
        check("/contexts/.s/mode/x", "", "mode|:.s:x");
        check("/contexts/./config", "", "config");
        check("/contexts/a:b/subjects", "", "Context");
    }
}

//! Addresses of registries, compared as people mean them.

use std::fmt;

/// The address of a registry, without what makes no difference: a slash at its end, its scheme's own
/// port, capital letters of its host. A login in it is dropped.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RegistryUrl(String);

/// What is wrong with an address. It is not shown: it may hold a login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("it is not an address like http://registry:8081")]
pub struct NotAUrl;

impl RegistryUrl {
    /// Reads an address with its scheme, `http` or `https`.
    ///
    /// # Errors
    /// Anything else.
    pub fn parse(given: &str) -> Result<Self, NotAUrl> {
        let given = given.trim();
        let is_plain = |c: char| c.is_ascii_graphic() && !"<>\"\\^`{|}".contains(c);
        if !given.chars().all(is_plain) {
            return Err(NotAUrl);
        }
        let (scheme, rest) = given.split_once("://").ok_or(NotAUrl)?;
        let scheme = scheme.to_ascii_lowercase();
        let own_port = match scheme.as_str() {
            "http" => ":80",
            "https" => ":443",
            _ => return Err(NotAUrl),
        };
        let (authority, path) = rest.split_at(rest.find(['/', '?', '#']).unwrap_or(rest.len()));
        let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
        let host = host.to_ascii_lowercase();
        let host = host.strip_suffix(own_port).unwrap_or(&host);
        if host.is_empty() || host.starts_with(':') || path.contains(['?', '#']) {
            return Err(NotAUrl);
        }
        Ok(Self(format!("{scheme}://{host}{}", path.trim_end_matches('/'))))
    }

    /// Reads a list of addresses with commas between them, as clients of a registry take it.
    ///
    /// # Errors
    /// One that is none.
    pub fn parse_list(given: &str) -> Result<Vec<Self>, NotAUrl> {
        given.split(',').map(Self::parse).collect()
    }
}

impl fmt::Display for RegistryUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(given: &str, expected: Option<&str>) {
        let read = RegistryUrl::parse(given).ok().map(|url| url.to_string());
        assert_eq!(read.as_deref(), expected, "{given}");
    }

    #[test]
    fn what_makes_no_difference_is_left_out() {
        check("http://Registry:8081/", Some("http://registry:8081"));
        check("HTTP://registry:80", Some("http://registry"));
        check("https://registry:443/sr//", Some("https://registry/sr"));
        check("https://registry:80", Some("https://registry:80"));
        check(" http://[::1]:8081 ", Some("http://[::1]:8081"));
    }

    #[test]
    fn a_login_is_dropped() {
        check("https://user:hunter2@registry", Some("https://registry"));
        check("http://u@p@registry:8081/x", Some("http://registry:8081/x"));
    }

    #[test]
    fn what_is_no_address_is_refused() {
        for bad in
            ["", "registry:8081", "ftp://a", "http://", "http://:8081", "http://a b", "http://a?x"]
        {
            check(bad, None);
        }
        assert!(RegistryUrl::parse_list("http://a,http://b/").is_ok_and(|urls| urls.len() == 2));
        assert!(RegistryUrl::parse_list("http://a,").is_err());
    }
}

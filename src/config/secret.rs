//! A value that is used and never shown.

use std::fmt;

/// A password, a key, a token. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// Keeps a value from being shown.
    #[must_use]
    pub fn new(value: String) -> Self {
        Self(value)
    }

    /// The value itself, for the client that needs it.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("(hidden)")
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Parts of a property's name that say its value is nobody's business.
const TELLTALES: &[&str] = &[
    "password",
    "passphrase",
    "secret",
    "token",
    "credential",
    "key.pem",
    "private.key",
    "jaas",
    "oauthbearer.config",
];

/// Whether the value of a Kafka property with this name has to be hidden.
#[must_use]
pub fn is_secret_name(property: &str) -> bool {
    let name = property.to_ascii_lowercase();
    TELLTALES.iter().any(|telltale| name.contains(telltale))
}

/// A text with the values of all secrets hidden that stand in it as one of these words does:
/// `name=value`, perhaps behind a flag.
#[must_use]
pub fn hide_secrets<'a>(text: &str, words: impl IntoIterator<Item = &'a str>) -> String {
    let mut hidden = text.to_owned();
    for word in words {
        for (at, _) in word.match_indices('=') {
            let (name, rest) = word.split_at(at);
            let value = rest.trim_start_matches('=');
            if is_secret_name(name) && !value.is_empty() {
                hidden = hidden.replace(word, &format!("{name}={}", Secret::new(String::new())));
            }
        }
    }
    hidden
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(secret: &[&str], shown: &[&str]) {
        for property in secret {
            assert!(is_secret_name(property), "{property} is hidden");
        }
        for property in shown {
            assert!(!is_secret_name(property), "{property} is shown");
        }
    }

    #[test]
    fn properties_that_hold_secrets_are_known_by_their_names() {
        check(
            &[
                "sasl.password",
                "SASL.PASSWORD",
                "ssl.key.pem",
                "ssl.keystore.password",
                "sasl.oauthbearer.client.secret",
                "sasl.oauthbearer.assertion.private.key.pem",
            ],
            &["sasl.username", "ssl.ca.pem", "ssl.key.location", "client.id"],
        );
    }

    #[test]
    fn a_secret_shows_itself_to_nobody() {
        let secret = Secret::new("hunter2".to_owned());
        assert_eq!(format!("{secret} {secret:?} {secret:#?}"), "(hidden) (hidden) (hidden)");
        assert_eq!(secret.reveal(), "hunter2");
    }

    #[test]
    fn a_secret_among_the_words_of_a_command_line_is_hidden_in_its_errors() {
        let words = ["--to-property=sasl.password=hunter2=", "a=b"];
        let text = "unexpected argument '--to-property=sasl.password=hunter2=', a=b";
        let expected = "unexpected argument '--to-property=sasl.password=(hidden)', a=b";
        assert_eq!(hide_secrets(text, words), expected);
    }
}

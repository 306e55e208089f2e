//! How an operator gives a halted link leave to go on, in the words of the place where the link is
//! steered: what a command line takes is of no use to whoever made the link over REST.

use crate::core::record::Offset;

/// The program, as it is typed.
const PROGRAM: &str = "schema-mirror";

/// Where a link is steered from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Steered {
    /// By the command line and the file that the process starts with.
    #[default]
    AtStart,
    /// Over REST, while the process runs.
    OverRest,
}

/// The words for one link.
#[derive(Debug, Clone, Copy)]
pub struct Leave<'a> {
    /// Where it is steered from.
    pub steered: Steered,
    /// Its name.
    pub link: &'a str,
}

impl Leave<'_> {
    /// Has the link go on where its context had another mode, now that it is back or without that.
    #[must_use]
    pub fn fence_again(self) -> String {
        match self.steered {
            Steered::AtStart => {
                format!(" and start again, or have the link set it: {}", self.set_again())
            }
            Steered::OverRest => format!(
                ", then {PROGRAM} link resume {}, or have the link set it: {}",
                self.link,
                self.set_again()
            ),
        }
    }

    /// The same of one subject, which goes on by itself when its mode is back.
    #[must_use]
    pub fn fence_subject_again(self) -> String {
        format!(", or have the link set it: {}", self.set_again())
    }

    /// Has the link set its fence itself.
    fn set_again(self) -> String {
        let verb = format!("{PROGRAM} link resume {} --fence-again", self.link);
        match self.steered {
            Steered::AtStart => {
                format!("start once with --fence-again, or {verb} where it is served over HTTP")
            }
            Steered::OverRest => format!("{verb} (PUT …/resume?fenceAgain=true)"),
        }
    }

    /// Releases the brake on deletions; `until` is where the source ends.
    #[must_use]
    pub fn release(self, until: Offset) -> String {
        match self.steered {
            Steered::AtStart => {
                format!("start once with --allow-deletes, or set allow_deletes_until: {until}")
            }
            Steered::OverRest => format!(
                "{PROGRAM} link update {} --allow-deletes-until {until} lets them go, once \
                 (mirror.allow_deletes_until={until} in its config)",
                self.link
            ),
        }
    }

    /// Takes over what others wrote.
    #[must_use]
    pub fn adopt(self) -> String {
        match self.steered {
            Steered::AtStart => "adopt: true (--adopt)".to_owned(),
            Steered::OverRest => format!(
                "{PROGRAM} link update {} --adopt (mirror.adopt=true in its config)",
                self.link
            ),
        }
    }

    /// Says which registry stands at the target.
    #[must_use]
    pub fn declare(self) -> &'static str {
        match self.steered {
            Steered::AtStart => "declare it: dialect of the target cluster, or --to-dialect",
            Steered::OverRest => "declare it: dialect of the target cluster in the mirror's file",
        }
    }

    /// Begins anew, by what stands in the topics.
    #[must_use]
    pub fn begin_again(self) -> String {
        match self.steered {
            Steered::AtStart => "Start again".to_owned(),
            Steered::OverRest => format!("{PROGRAM} link resume {}", self.link),
        }
    }

    /// Names a context for a link that has to have one.
    #[must_use]
    pub fn name_context(self) -> String {
        match self.steered {
            Steered::AtStart => "name one with context: .NAME (--context)".to_owned(),
            Steered::OverRest => {
                format!("name one: {PROGRAM} link update {} --context .NAME", self.link)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_made_a_link_over_rest_is_told_no_flag_of_a_start() {
        let words = |steered| {
            let leave = Leave { steered, link: "dr" };
            [
                leave.fence_again(),
                leave.fence_subject_again(),
                leave.release(54),
                leave.adopt(),
                leave.begin_again(),
                leave.declare().to_owned(),
                leave.name_context(),
            ]
            .join("\n")
        };
        let told = words(Steered::OverRest);
        for flag in ["with --fence-again", "--allow-deletes,", "start", "--to-dialect", "(--adopt)"]
        {
            assert!(!told.contains(flag), "{flag} in {told}");
            assert!(words(Steered::AtStart).to_lowercase().contains(flag), "{flag}");
        }
        let verbs = [
            "link resume dr,",
            "link resume dr --fence-again",
            "resume?fenceAgain=true",
            "link update dr --allow-deletes-until 54",
            "=54 in its",
        ];
        for verb in verbs {
            assert!(told.contains(verb), "{verb} in {told}");
        }
    }
}

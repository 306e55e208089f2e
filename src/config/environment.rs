//! The world that a configuration may read: variables and files. The only place that does.

use std::io;
use std::path::Path;

/// Where values come from; tests pass a map.
pub trait Environment {
    /// The value of an environment variable; `None` where it is not set, or not text.
    fn var(&self, name: &str) -> Option<String>;

    /// The text of a file.
    ///
    /// # Errors
    /// Whatever the system says.
    fn file(&self, path: &Path) -> io::Result<String>;

    /// The bytes of a file that need not be text.
    ///
    /// # Errors
    /// Whatever the system says.
    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        self.file(path).map(String::into_bytes)
    }
}

/// The environment of this process.
#[derive(Debug, Clone, Copy, Default)]
pub struct ProcessEnvironment;

impl Environment for ProcessEnvironment {
    #[expect(clippy::disallowed_methods, reason = "the one place that reads the environment")]
    fn var(&self, name: &str) -> Option<String> {
        std::env::var(name).ok()
    }

    fn file(&self, path: &Path) -> io::Result<String> {
        std::fs::read_to_string(path)
    }

    fn bytes(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }
}

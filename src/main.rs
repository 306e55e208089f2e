//! The schema-mirror binary.

use std::process::ExitCode;

fn main() -> ExitCode {
    ExitCode::from(schema_mirror::cli::main(std::env::args_os()))
}

//! The schema-mirror binary.

use std::process::ExitCode;

// Records are made in one thread and dropped in another, which the system's allocator is slow at.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    ExitCode::from(schema_mirror::cli::main(std::env::args_os()))
}

//! Memory holds every secret, so a process that dies leaves none of it behind.

/// Keeps the system from writing a core of this process, through a limit or through a program that
/// collects cores, and everybody but root from looking into its memory. It is no fault where the
/// system refuses: secrets are as safe then as those of any other process.
#[cfg(target_os = "linux")]
pub(super) fn forbid() {
    use rustix::process::DumpableBehavior;
    rustix::process::set_dumpable_behavior(DumpableBehavior::NotDumpable).ok();
}

/// Keeps the system from writing a core of this process.
#[cfg(not(target_os = "linux"))]
pub(super) fn forbid() {
    use rustix::process::Resource;
    use rustix::process::Rlimit;
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    rustix::process::setrlimit(Resource::Core, none).ok();
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use rustix::process::DumpableBehavior;
    use rustix::process::dumpable_behavior;

    #[test]
    fn no_core_is_written_and_no_memory_is_read() {
        super::forbid();
        assert_eq!(dumpable_behavior(), Ok(DumpableBehavior::NotDumpable));
    }
}

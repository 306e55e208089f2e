//! Programs that are run to their end.

use std::{
    fs::File,
    io::{Read, Seek},
    process::{Command, Output, Stdio},
    time::Duration,
};

use crate::wait::wait_for;

/// Runs a program to its end. One that has not ended within the limit is killed, and the test fails
/// with what it said: a test that waits for ever tells nobody which one it is.
#[track_caller]
pub(crate) fn output_within(limit: Duration, program: &mut Command) -> Output {
    // Files, because a pipe that nobody reads fills.
    let [mut out, mut err] = [(); 2].map(|()| tempfile::tempfile().unwrap());
    program.stdin(Stdio::null());
    program.stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let mut running = program.spawn().unwrap_or_else(|error| panic!("run {program:?}: {error}"));
    let ended = wait_for(limit, || running.try_wait().unwrap());
    if ended.is_none() {
        running.kill().unwrap();
        running.wait().unwrap();
    }
    let [stdout, stderr] = [&mut out, &mut err].map(whole);
    let Some(status) = ended else {
        let said = String::from_utf8_lossy(&[stdout, stderr].concat()).into_owned();
        panic!("{program:?} did not end within {} s and said:\n{said}", limit.as_secs());
    };
    Output { status, stdout, stderr }
}

fn whole(file: &mut File) -> Vec<u8> {
    let mut bytes = Vec::new();
    file.rewind().unwrap();
    file.read_to_end(&mut bytes).unwrap();
    bytes
}

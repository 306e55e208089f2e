//! Every fault that a cluster, its topics and a mirror can have, each with records flowing.
//! `docs/faults.md` lists them.

mod clocks;
mod compaction;
mod deaths;
mod instances;
mod kills;
mod proxy;
mod quotas;
mod sizes;
mod sources;
mod targets;

use std::sync::{Mutex, MutexGuard, OnceLock, PoisonError};

use crate::{broker::Broker, mirror::Scene, process::poll_until};

/// Two brokers that tests of this folder kill, one test at a time.
struct Mortals {
    source: Broker,
    target: Broker,
}

/// Both are up when a test gets them, whatever the one before left behind.
fn mortals() -> MutexGuard<'static, Mortals> {
    static MORTALS: OnceLock<Mutex<Mortals>> = OnceLock::new();
    let mortals = MORTALS.get_or_init(|| {
        Mutex::new(Mortals {
            source: Broker::start("mortal-source"),
            target: Broker::start("mortal-target"),
        })
    });
    let mortals = mortals.lock().unwrap_or_else(PoisonError::into_inner);
    mortals.source.restart_if_down();
    mortals.target.restart_if_down();
    mortals
}

/// Waits until the target has so many records more than now.
#[track_caller]
fn wait_for_more(scene: &Scene<'_>, records: i64) {
    let end = || scene.target.watermarks_if_there(&scene.target_topic()).map_or(0, |(_, end)| end);
    let wanted = end().saturating_add(records);
    poll_until(crate::mirror::LINK_LIMIT, &format!("the target ends at {wanted}"), || {
        (end() >= wanted).then_some(())
    });
}

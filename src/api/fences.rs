//! A mode that is set on a context which a link owns: it becomes the link's fence.

use std::time::Duration;

use super::registry::Answer;
use super::registry::ModeAsked;
use crate::core::rules::Fence;
use crate::core::value::Mode;
use crate::service::catalog::Held;
use crate::service::exporter::Desk;
use crate::service::exporter::Owner;
use crate::service::exporter::Refused;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

/// A link starts anew with its new fence and has set it within this long, or the call gives up; that it
/// keeps the fence stays true.
const SET_WITHIN: Duration = Duration::from_secs(20);
/// Between two looks at the context.
const LOOK_EVERY: Duration = Duration::from_millis(50);

/// Has the link that owns the context of this cluster keep the mode as its fence; `None` where no link
/// owns it.
pub(super) async fn set<C: Cluster, K: Clock>(
    desk: &Desk<C, K>,
    cluster: &str,
    asked: &ModeAsked,
    held: &Held,
    clock: &K,
) -> Option<Answer> {
    let owner = match desk.owner(cluster, &asked.context).await {
        Ok(owner) => owner?,
        Err(refused) => return Some(refusal(&refused)),
    };
    let fence = match asked.mode {
        Mode::Readonly => Fence::Readonly,
        Mode::Import => Fence::Import,
        Mode::Readwrite | Mode::ReadonlyOverride | Mode::Forward => {
            return Some(Answer::mode_stays(open_to_clients(&owner)));
        }
    };
    // The registry's own words.
    if asked.is_barred {
        let reason = "Cannot import since found existing subjects";
        return Some(Answer::mode_stays(reason.to_owned()));
    }
    let stands =
        || held.ask(|catalog| asked.is_set(catalog)) && !desk.is_halted_at(&owner, &asked.context);
    if owner.fence == fence && stands() {
        return Some(Answer::mode_set(asked.mode));
    }
    if let Err(refused) = desk.fence(&owner, &asked.context, fence).await {
        return Some(refusal(&refused));
    }
    let deadline = clock.monotonic().saturating_add(SET_WITHIN);
    loop {
        if owner.is_paused || stands() {
            return Some(Answer::mode_set(asked.mode));
        }
        if clock.monotonic() >= deadline {
            return Some(Answer::away(&unset(desk, &owner, asked.mode).await));
        }
        clock.sleep(LOOK_EVERY).await;
    }
}

fn refusal(refused: &Refused) -> Answer {
    match refused {
        Refused::Cluster(fault) => Answer::away(&fault.to_string()),
        Refused::NotFound(_)
        | Refused::Name(_)
        | Refused::Config(_)
        | Refused::Subjects(_)
        | Refused::Exists(_)
        | Refused::Running(_)
        | Refused::Starting(_)
        | Refused::NotPaused(_)
        | Refused::TooMany(_) => Answer::mode_stays(refused.to_string()),
    }
}

/// What a fail-over by hand takes.
fn open_to_clients(owner: &Owner) -> String {
    let Owner { name, source, is_of_file, .. } = owner;
    let word = if *is_of_file {
        "fence: none for it in the file, then SIGHUP,".to_owned()
    } else {
        format!("mirror.fence=none in its config (PUT /{source}/exporters/{name}/config)")
    };
    format!(
        "link {name} from {source} writes here, and clients would write beside it. {word} takes its fence \
         away while it runs; pause or end it behind that"
    )
}

async fn unset<C: Cluster, K: Clock>(desk: &Desk<C, K>, owner: &Owner, mode: Mode) -> String {
    let Owner { name, source, .. } = owner;
    let told = desk.status(source, name).await;
    let why = told.map(|status| match status.trace {
        Some(trace) => format!("{}: {trace}", status.state.word()),
        None => status.state.word().to_owned(),
    });
    let why = why.unwrap_or_else(|refused| refused.to_string());
    format!(
        "link {name} keeps {} as its fence from now on, and has not set it yet ({why})",
        mode.as_str()
    )
}

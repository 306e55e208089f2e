//! A link that follows is asked to let incidents stand, or to count them again. It keeps that itself, under
//! its lease.

use super::life::Life;
use crate::core::link::acknowledged::Acknowledged;
use crate::core::link::ledger::on_one_line;
use crate::core::link::turn::NotTurned;
use crate::core::link::turn::Turn;
use crate::core::link::turn::Turned;
use crate::core::record::Offset;
use crate::core::record::Outgoing;
use crate::service::acknowledgements::Acknowledgements;
use crate::service::acknowledgements::Ask;
use crate::service::acknowledgements::Unturned;
use crate::service::pipeline::Stop;
use crate::service::ports::Appender;
use crate::service::ports::Clock;
use crate::service::ports::Cluster;

impl<C: Cluster, K: Clock> Life<C, K> {
    /// Does what is asked, and answers. `next` and `end` are how far the source was read, and where it
    /// ends. What the link holds changes with the record that keeps it, not before.
    pub(super) async fn take_ask(
        &mut self,
        ask: Ask,
        (next, end): (Offset, Offset),
    ) -> Result<(), Stop> {
        let at_ms = self.worker.clock.wall_ms();
        let turned = self.link.at().ledger().turned(&ask.which, &ask.turn, at_ms);
        let Turned { kept, keys } = match turned {
            Ok(turned) => turned,
            Err(refused) => {
                ask.answer(Err(Unturned::Refused(refused)));
                return Ok(());
            }
        };
        if let Err(refused) = self.fits(&self.acknowledged_record(&kept)) {
            ask.answer(Err(Unturned::Refused(refused)));
            return Ok(());
        }
        if let Err(stop) = self.keep_acknowledged(&kept).await {
            ask.answer(Err(Unturned::NotKept(self.not_kept(&stop))));
            return Err(stop);
        }
        let link = &self.worker.definition.rules.name;
        let done = match ask.turn {
            Turn::Acknowledge(_) => "acknowledged",
            Turn::Withdraw => "acknowledgement withdrawn",
        };
        for key in &keys {
            tracing::info!(link = %link, key = %on_one_line(key.chars()), "{done}");
        }
        self.link.at().acknowledge(kept);
        self.show(next, end);
        ask.answer(Ok(keys));
        Ok(())
    }

    /// Keeps all that operators let stand.
    pub(super) async fn keep_acknowledged(&mut self, kept: &Acknowledged) -> Result<(), Stop> {
        self.keep(self.acknowledged_record(kept)).await
    }

    fn acknowledged_record(&self, kept: &Acknowledged) -> Outgoing {
        let rules = &self.worker.definition.rules;
        Acknowledgements::record(&rules.name, &self.ground.source.cluster_id, &rules.scope(), kept)
    }

    /// A record that our own topic refuses would end the link's life.
    fn fits(&self, record: &Outgoing) -> Result<(), NotTurned> {
        let limit = self.keeper.record_limit();
        let bytes = super::writing::size_of(record);
        if bytes <= limit.bytes {
            return Ok(());
        }
        Err(NotTurned::TooMany(format!(
            "all acknowledgements of the link would take {bytes} bytes, and topic {} takes {} at most; {}, or \
             acknowledge less, in fewer words",
            self.worker.definition.state_topic, limit.bytes, limit.raise
        )))
    }

    fn not_kept(&self, stop: &Stop) -> String {
        match stop {
            Stop::Fault(fault) => fault.to_string(),
            Stop::Halt(reason) => reason.clone(),
            Stop::LeaseLost | Stop::Shutdown => format!(
                "{} did not acknowledge it before the link's lease ended: it may have kept it or not; ask again",
                self.worker.target.name()
            ),
        }
    }
}

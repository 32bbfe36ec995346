//! Regular jobs that send commands to the engine: look at sources, look at sinks.
//!
//! No deadline depends on this: the scheduler below polls twice a second, works at a fixed UTC offset and may drop jobs
//! under load, so it gets a handful of jobs in which a lost tick is made good by the next one.

use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::engine::Command;

/// Events that the scheduler may queue for its own tasks; we cause two a tick.
const EVENTS: usize = 64;

/// How often sources and sinks are looked at; `None`: never.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Intervals {
    pub sources: Option<SignedDuration>,
    pub sinks: Option<SignedDuration>,
}

pub struct Housekeeping(JobScheduler);

impl Housekeeping {
    /// Starts the jobs. They end with [`Self::stop`], or when the engine has gone.
    pub async fn start(
        intervals: Intervals,
        engine: mpsc::Sender<Command>,
    ) -> Result<Self, JobSchedulerError> {
        let scheduler = JobScheduler::new_with_channel_size(EVENTS).await?;
        type Look = (Option<SignedDuration>, fn() -> Command);
        let jobs: [Look; 2] =
            [(intervals.sources, || Command::LookAtSources), (intervals.sinks, || Command::LookAtSinks)];
        for (interval, command) in jobs {
            let Some(interval) = interval.and_then(|span| Duration::try_from(span).ok()) else { continue };
            let engine = engine.clone();
            let job = Job::new_repeated(interval, move |_, _| {
                // A full queue means that the engine is busy: the next tick asks again.
                let _ = engine.try_send(command());
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self(scheduler))
    }

    pub async fn stop(mut self) {
        if let Err(error) = self.0.shutdown().await {
            tracing::debug!(event = "HousekeepingStopFailed", %error);
        }
    }
}

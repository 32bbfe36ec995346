//! Regular jobs that send commands to the engine: look at sources, look at sinks.
//!
//! No deadline depends on this: the scheduler below polls twice a second, works at a fixed UTC offset and may drop jobs
//! under load, so it gets a handful of jobs in which a lost tick is made good by the next one.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::SignedDuration;
use tokio::sync::mpsc;
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};

use crate::engine::Command;

/// A machine under load may be late.
const SLACK: Duration = Duration::from_secs(30);

/// Events that the scheduler may queue for its own tasks; we cause two a tick.
const EVENTS: usize = 64;

/// How often sources and sinks are looked at; `None`: never.
#[derive(Clone, Copy, PartialEq, Debug)]
pub struct Intervals {
    pub sources: Option<SignedDuration>,
    pub sinks: Option<SignedDuration>,
}

/// What is done, and how often.
type Look = (Option<SignedDuration>, fn() -> Command);

pub struct Housekeeping {
    scheduler: JobScheduler,
    ticks: Arc<AtomicU64>,
    /// The longest interval of a job; `None`: there is no job.
    longest: Option<Duration>,
}

impl Housekeeping {
    /// Starts the jobs. They end with [`Self::stop`], or when the engine has gone.
    pub async fn start(
        intervals: Intervals,
        engine: mpsc::Sender<Command>,
    ) -> Result<Self, JobSchedulerError> {
        let (ticks, mut longest) = (Arc::new(AtomicU64::new(0)), None);
        let scheduler = JobScheduler::new_with_channel_size(EVENTS).await?;
        let jobs: [Look; 2] =
            [(intervals.sources, || Command::LookAtSources), (intervals.sinks, || Command::LookAtSinks)];
        for (interval, command) in jobs {
            let Some(interval) = interval.and_then(|span| Duration::try_from(span).ok()) else { continue };
            let (engine, ticks) = (engine.clone(), ticks.clone());
            longest = longest.max(Some(interval));
            let job = Job::new_repeated(interval, move |_, _| {
                ticks.fetch_add(1, Ordering::Relaxed);
                // A full queue means that the engine is busy: the next tick asks again.
                let _ = engine.try_send(command());
            })?;
            scheduler.add(job).await?;
        }
        scheduler.start().await?;
        Ok(Self { scheduler, ticks, longest })
    }

    /// Returns when no job has ticked for three of the longest intervals. The scheduler's own tasks are out of our
    /// sight, and a rotation whose changed credentials nobody notices would be, too.
    pub async fn stalled(&self) {
        let Some(longest) = self.longest else { return std::future::pending().await };
        loop {
            let before = self.ticks.load(Ordering::Relaxed);
            tokio::time::sleep(longest * 3 + SLACK).await;
            if self.ticks.load(Ordering::Relaxed) == before {
                return;
            }
        }
    }

    pub async fn stop(mut self) {
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(event = "HousekeepingStopFailed", %error);
        }
    }
}

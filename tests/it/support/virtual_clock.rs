//! Both clocks on tokio's paused time: months pass in seconds, the wall clock can be stepped, nothing sleeps for real.

use std::sync::Mutex;
use std::time::Duration;

use everbearer::ports::Clock;
use everbearer::rotation::{BootInstant, Reading};
use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};

pub(crate) struct VirtualClock {
    began: tokio::time::Instant,
    /// What the wall clock is ahead of true time.
    wall_step: Mutex<SignedDuration>,
}

impl VirtualClock {
    #[expect(clippy::disallowed_methods, reason = "tokio's paused time is the virtual time")]
    pub(crate) fn new() -> Self {
        Self { began: tokio::time::Instant::now(), wall_step: Mutex::default() }
    }

    /// True time since the start, which no step changes.
    pub(crate) fn elapsed(&self) -> SignedDuration {
        #[expect(clippy::disallowed_methods, reason = "tokio's paused time is the virtual time")]
        let now = tokio::time::Instant::now();
        SignedDuration::try_from(now - self.began).unwrap()
    }

    /// True time as a timestamp: what a provider with a good clock sees.
    pub(crate) fn true_time(&self) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + self.elapsed()
    }

    pub(crate) fn step_wall(&self, by: SignedDuration) {
        *self.wall_step.lock().unwrap() += by;
    }
}

impl Clock for VirtualClock {
    fn read(&self) -> Reading {
        let wall = self.true_time() + *self.wall_step.lock().unwrap();
        Reading { wall, boot: BootInstant(SignedDuration::from_secs(1000) + self.elapsed()) }
    }

    fn sleep_until(&self, deadline: Reading) -> BoxFuture<'_, ()> {
        let now = self.read();
        let span = deadline.wall.duration_since(now.wall).min(deadline.boot.duration_since(now.boot));
        let longest = SignedDuration::from_mins(10); // a step of the wall clock is noticed by then
        Box::pin(tokio::time::sleep(Duration::try_from(span.min(longest)).unwrap_or_default()))
    }
}

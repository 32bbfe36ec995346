//! The only place that reads real time.

use std::time::Duration;

use futures::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use rustix::time::{ClockId, clock_gettime};

use crate::ports::Clock;
use crate::rotation::{BootInstant, Draw, Reading, UnitInterval};

/// Nobody sleeps longer than this without looking at the clocks again: tokio's timers stand still during a suspend and
/// know nothing of a stepped wall clock.
const LONGEST_SLEEP: SignedDuration = SignedDuration::from_secs(5);

#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn read(&self) -> Reading {
        #[expect(clippy::disallowed_methods, reason = "this is the one place")]
        let wall = Timestamp::now();
        let boot = clock_gettime(ClockId::Boottime);
        Reading {
            wall,
            boot: BootInstant(SignedDuration::new(boot.tv_sec, i32::try_from(boot.tv_nsec).unwrap_or(0))),
        }
    }

    fn sleep_until(&self, deadline: Reading) -> BoxFuture<'_, ()> {
        let now = self.read();
        let by_wall = deadline.wall.duration_since(now.wall);
        let by_boot = deadline.boot.0.saturating_sub(now.boot.0);
        let span = by_wall.min(by_boot).clamp(SignedDuration::ZERO, LONGEST_SLEEP);
        // tokio's timers tick in whole milliseconds, rounded up: never early, at most 1 ms late.
        Box::pin(tokio::time::sleep(Duration::try_from(span).unwrap_or_default()))
    }
}

/// The process's random generator.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemDraw;

impl Draw for SystemDraw {
    fn draw(&mut self) -> UnitInterval {
        UnitInterval::new(rand::random::<f64>()).unwrap_or(UnitInterval::ZERO)
    }
}

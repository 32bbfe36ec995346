//! File system calls that may hang: off the async threads, one at a time, given up after [`LIMIT`].
//!
//! A call that hangs in the kernel cannot be cancelled. It keeps its thread, so there is at most one for each source
//! and sink, however often they are tried again.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

/// A local disk needs milliseconds; a network file system that has lost its server never answers.
const LIMIT: Duration = Duration::from_secs(10);

/// The same in seconds, for messages.
pub(super) const LIMIT_SECONDS: u64 = LIMIT.as_secs();

#[derive(Default)]
pub(super) struct Bounded {
    one_at_a_time: Arc<Mutex<()>>,
}

/// No answer within [`LIMIT`]. The work may still come to its end later.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stuck;

impl Bounded {
    pub(super) async fn run<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> T + Send + 'static,
    ) -> Result<T, Stuck> {
        let one_at_a_time = Arc::clone(&self.one_at_a_time);
        let answer = async {
            // The work takes the permit along: it stays taken while a forgotten call hangs.
            let permit = one_at_a_time.lock_owned().await;
            let held = move || {
                let _permit = permit;
                work()
            };
            spawn_blocking(held).await
        };
        match timeout(LIMIT, answer).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(ended)) => match ended.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Stuck), // the runtime is shutting down
            },
            Err(_) => Err(Stuck),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::mpsc;

    #[tokio::test(start_paused = true)]
    async fn a_call_that_hangs_is_given_up_and_holds_one_thread_only() {
        let bounded = Bounded::default();
        let ((release, hang), (tell, has_begun)) = (mpsc::channel::<()>(), mpsc::channel());
        // Time stands still while a blocking call runs, so the clock is moved by hand.
        let stuck = bounded.run(move || tell.send(()).is_ok() && hang.recv().is_ok());
        let (stuck, ()) = tokio::join!(stuck, tokio::time::advance(LIMIT * 2));
        assert_eq!(stuck, Err(Stuck));
        has_begun.recv().unwrap();

        let ran = Arc::new(AtomicBool::new(false));
        let seen = Arc::clone(&ran);
        let next = bounded.run(move || seen.store(true, Ordering::SeqCst));
        let (next, ()) = tokio::join!(next, tokio::time::advance(LIMIT * 2));
        assert_eq!(next, Err(Stuck), "the first call still holds the permit");
        // Its work was dropped, or is at its end by the time that nobody else holds `ran`.
        while Arc::strong_count(&ran) > 1 {
            tokio::task::yield_now().await;
        }
        assert!(!ran.load(Ordering::SeqCst), "what was given up before it began never runs");

        release.send(()).unwrap();
        assert_eq!(bounded.run(|| 7).await, Ok(7), "as soon as the hanging call returns, work goes on");
    }
}

//! Help for the tests beside: what a process without root's rights sees, also when the tests run as root.

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

/// Runs the future on threads that may neither pass over file modes nor give files away. Capabilities belong to a
/// thread and are inherited by the ones that it starts, so nothing else is touched.
pub(super) fn without_rights<F: Future>(make: impl FnOnce() -> F + Send) -> F::Output
where
    F::Output: Send,
{
    let run = || {
        let none = CapabilitySet::empty();
        let sets = CapabilitySets { effective: none, permitted: none, inheritable: none };
        set_capabilities(None, sets).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(make())
    };
    std::thread::scope(|scope| scope.spawn(run).join().unwrap())
}

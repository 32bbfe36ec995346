//! When a token is to be replaced: the lead, its jitter, and the ordered checks that give the reason.

use jiff::SignedDuration;



/// How long before expiry a new token is wanted, as configured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lead {
    /// `renewAt`: the share of the lifetime, 0.01 to 0.99, that has passed then.
    RenewAt(f64),
    /// `renewBefore`: a span ahead of expiry.
    RenewBefore(SignedDuration),
}

//! When a rotation is to run, and why: the lead, its jitter, and an ordered list of pure checks.
//!
//! Nothing here knows of retries, budgets or limits; `schedule.rs` puts those in front of what this file wants.

use jiff::{SignedDuration, Timestamp};

use super::receipt::{KeyedFingerprint, Receipt, SpecDigest};
use super::{BootInstant, Reading, UnitInterval, Validity};
use crate::rotation::schedule::CronLine;

/// How long before expiry a new token is wanted, as configured.
#[derive(Clone, Copy, PartialEq, Debug)]
pub enum Lead {
    /// `renewAt`: the share of the lifetime, 0.01 to 0.99, that has passed then.
    RenewAt(f64),
    /// `renewBefore`: a span ahead of expiry.
    RenewBefore(SignedDuration),
}

/// What the configuration says of one rotation's timing.
#[derive(Clone, PartialEq, Debug)]
pub struct Policy {
    pub lead: Lead,
    /// Share of the lead, 0 to 1, by which jitter may lengthen it.
    pub jitter: f64,
    /// A Kubernetes Secret is among the sinks, and kubelet shows a changed Secret only within 90 s.
    pub feeds_kubelet: bool,
    /// Tokens per lifetime before only the urgent reasons pass.
    pub mint_budget: u32,
    /// Stands in for the lifetime while no token tells it.
    pub default_lifetime: SignedDuration,
    pub schedule: Option<CronLine>,
    pub suspended: bool,
}

/// kubelet's worst delay with room for two retries; only for tokens that live long enough.
const KUBELET_LEAD: SignedDuration = SignedDuration::from_mins(5);

impl Policy {
    /// The lead for a token of this lifetime, jitter included, and whether it had to be cut.
    ///
    /// A lead of nine tenths of the lifetime or more would mint again at once and for ever, so it is cut to two
    /// thirds. That cannot be a configuration error: the lifetime is known from the answer only.
    #[must_use]
    pub fn lead(&self, lifetime: SignedDuration, draw: UnitInterval) -> (SignedDuration, bool) {
        let wanted = match self.lead {
            Lead::RenewBefore(span) => span,
            Lead::RenewAt(share) => {
                let span = lifetime.mul_f64(1.0 - share);
                if self.feeds_kubelet { span.max(KUBELET_LEAD.min(lifetime / 2)) } else { span }
            }
        };
        let wanted = wanted.min(lifetime); // more is cut anyway, and cannot overflow
        let jittered = wanted + draw.of(wanted.mul_f64(self.jitter));
        if jittered >= lifetime.mul_f64(0.9) { (lifetime * 2 / 3, true) } else { (jittered, false) }
    }
}

/// The token in hand, without its secret part.
#[derive(Clone, PartialEq, Debug)]
pub struct Held {
    pub generation: u64,
    /// `None` for Basic credentials.
    pub validity: Option<Validity>,
    pub jitter: UnitInterval,
    pub spec: SpecDigest,
    pub credentials: Option<KeyedFingerprint>,
    /// A point on the boot clock and the token's age then.
    anchor: BootInstant,
    age_at_anchor: SignedDuration,
}

impl Held {
    /// A token that was asked for at `asked` just now.
    #[must_use]
    pub fn minted(receipt: &Receipt, credentials: KeyedFingerprint, asked: Reading) -> Self {
        Self::anchored(receipt, Some(credentials), asked.boot, SignedDuration::ZERO)
    }

    /// A token found in a sink. Its age is what the wall clock says; if that says that it was issued in the future,
    /// by more than half of the lead, the clock was turned back since and the age is anybody's guess: it is due.
    #[must_use]
    pub fn adopted(
        receipt: &Receipt,
        credentials: Option<KeyedFingerprint>,
        policy: &Policy,
        now: Reading,
    ) -> Self {
        let age = receipt.validity.map_or(SignedDuration::ZERO, |validity| {
            let age = now.wall.duration_since(validity.issued_at());
            let (lead, _) = policy.lead(validity.lifetime(), receipt.jitter);
            if age < -(lead / 2) { validity.lifetime() - lead } else { age.max(SignedDuration::ZERO) }
        });
        Self::anchored(receipt, credentials, now.boot, age)
    }

    fn anchored(
        receipt: &Receipt,
        credentials: Option<KeyedFingerprint>,
        anchor: BootInstant,
        age_at_anchor: SignedDuration,
    ) -> Self {
        Self {
            generation: receipt.generation,
            validity: receipt.validity,
            jitter: receipt.jitter,
            spec: receipt.spec,
            credentials,
            anchor,
            age_at_anchor,
        }
    }

    /// The same token again: what the boot clock knows of its age stays known.
    #[must_use]
    pub fn keeping_age_of(mut self, before: Option<&Self>) -> Self {
        if let Some(before) = before.filter(|before| before.validity == self.validity) {
            self.anchor = before.anchor;
            self.age_at_anchor = before.age_at_anchor;
        }
        self
    }

    /// Time that is left until the token counts as used up, by whichever clock says less. `None` for Basic.
    #[must_use]
    pub fn usable_left(&self, now: Reading) -> Option<SignedDuration> {
        self.validity.map(|v| v.lifetime() - v.used_up_margin() - self.age(v, now))
    }

    /// Basic credentials are always usable.
    #[must_use]
    pub fn is_usable(&self, now: Reading) -> bool {
        self.usable_left(now).is_none_or(|left| left.is_positive())
    }

    /// The end of the lifetime by the boot clock; the far future for Basic.
    #[must_use]
    pub fn expires_by_boot(&self) -> BootInstant {
        self.validity
            .map_or(BootInstant(SignedDuration::MAX), |v| self.anchor.plus(v.lifetime() - self.age_at_anchor))
    }

    fn age(&self, validity: Validity, now: Reading) -> SignedDuration {
        let by_wall = now.wall.duration_since(validity.issued_at());
        let by_boot = self.age_at_anchor + now.boot.duration_since(self.anchor);
        by_wall.max(by_boot)
    }

    /// When the token's age reaches `age`, by each clock.
    fn when_aged(&self, validity: Validity, age: SignedDuration) -> When {
        When {
            wall: validity.issued_at().checked_add(age).ok(),
            boot: self.anchor.plus(age - self.age_at_anchor),
        }
    }
}

/// A moment that has come as soon as either clock has reached it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct When {
    pub wall: Option<Timestamp>,
    pub boot: BootInstant,
}

impl When {
    pub const AT_ONCE: Self = Self { wall: None, boot: BootInstant(SignedDuration::MIN) };

    #[must_use]
    pub fn has_come(self, now: Reading) -> bool {
        now.boot >= self.boot || self.wall.is_some_and(|wall| now.wall >= wall)
    }

    /// How far away it is, by the nearer clock; zero if it has come.
    #[must_use]
    pub fn until(self, now: Reading) -> SignedDuration {
        let by_boot = self.boot.0.saturating_sub(now.boot.0);
        let by_wall = self.wall.map_or(SignedDuration::MAX, |wall| wall.duration_since(now.wall));
        by_boot.min(by_wall).max(SignedDuration::ZERO)
    }
}

/// Why a rotation runs. The order is that of the checks.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Hash)]
pub enum Reason {
    /// Somebody asked for it.
    Requested,
    /// A cron line.
    Scheduled,
    NeverDelivered,
    SpecChanged,
    CredentialsChanged,
    /// The lead has begun.
    Due,
}

impl Reason {
    /// The word for logs, status and tests.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Requested => "requested",
            Self::Scheduled => "scheduled",
            Self::NeverDelivered => "never_delivered",
            Self::SpecChanged => "spec_changed",
            Self::CredentialsChanged => "credentials_changed",
            Self::Due => "due",
        }
    }

    /// Without these a workload is hurt, so the mint budget slows them and never stops them.
    #[must_use]
    pub fn is_urgent(self) -> bool {
        matches!(self, Self::NeverDelivered | Self::Due)
    }
}

/// What the checks look at.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    pub held: Option<&'a Held>,
    pub spec: SpecDigest,
    /// The credentials as last seen in the source.
    pub seen: Option<KeyedFingerprint>,
    pub requested: bool,
    /// The first cron tick after the held token was issued.
    pub tick: Option<Timestamp>,
}

/// Every reason that holds now or will hold by itself, in the order of the checks.
pub fn wanted<'a>(policy: &'a Policy, facts: Facts<'a>) -> impl Iterator<Item = (Reason, When)> + 'a {
    type Check = fn(&Policy, &Facts<'_>) -> Option<When>;
    const CHECKS: [(Reason, Check); 6] = [
        (Reason::Requested, |_, facts| facts.requested.then_some(When::AT_ONCE)),
        (Reason::Scheduled, scheduled),
        (Reason::NeverDelivered, |_, facts| facts.held.is_none().then_some(When::AT_ONCE)),
        (Reason::SpecChanged, |_, facts| {
            facts.held.is_some_and(|held| held.spec != facts.spec).then_some(When::AT_ONCE)
        }),
        (Reason::CredentialsChanged, credentials_changed),
        (Reason::Due, due),
    ];
    CHECKS.into_iter().filter_map(move |(reason, check)| check(policy, &facts).map(|when| (reason, when)))
}

/// Many rotations may share a tick: each takes its own draw's place in the span that jitter spreads over.
fn scheduled(policy: &Policy, facts: &Facts<'_>) -> Option<When> {
    let (tick, held) = (facts.tick?, facts.held?);
    let (lead, _) = policy.lead(held.validity?.lifetime(), UnitInterval::ZERO);
    let place = held.jitter.of(lead.mul_f64(policy.jitter));
    Some(When { wall: Some(tick.checked_add(place).ok()?), boot: BootInstant(SignedDuration::MAX) })
}

fn credentials_changed(_: &Policy, facts: &Facts<'_>) -> Option<When> {
    let (made_with, seen) = (facts.held?.credentials?, facts.seen?);
    (made_with != seen).then_some(When::AT_ONCE)
}

fn due(policy: &Policy, facts: &Facts<'_>) -> Option<When> {
    let held = facts.held?;
    let validity = held.validity?;
    let (lead, _) = policy.lead(validity.lifetime(), held.jitter);
    Some(held.when_aged(validity, validity.lifetime() - lead))
}

#[cfg(test)]
mod tests;

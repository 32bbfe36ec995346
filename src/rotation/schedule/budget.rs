//! The mint budget: how many tokens one rotation may ask for in one lifetime.

use std::collections::VecDeque;

use jiff::SignedDuration;

use crate::rotation::BootInstant;
use crate::rotation::policy::{Reason, When};

/// When tokens were issued, as far back as the budget reaches. A request whose answer was lost counts as one.
#[derive(Default, Debug, Clone)]
pub(super) struct MintBudget {
    issued: VecDeque<BootInstant>,
}

impl MintBudget {
    pub(super) fn count(&mut self, at: BootInstant, budget: u32) {
        self.issued.push_back(at);
        while self.issued.len() > budget as usize {
            self.issued.pop_front();
        }
    }

    /// When the budget lets this reason pass. Urgent reasons are slowed to one token per tenth of the lifetime once
    /// the budget is spent; the others wait until a token's place is free again.
    #[must_use]
    pub(super) fn opens(
        &self,
        reason: Reason,
        budget: u32,
        lifetime: SignedDuration,
        now: BootInstant,
    ) -> BootInstant {
        let open = When::AT_ONCE.boot;
        if self.issued.len() < budget as usize {
            return open;
        }
        let (Some(oldest), Some(latest)) = (self.issued.front(), self.issued.back()) else {
            return open;
        };
        let place_free = oldest.plus(lifetime);
        if place_free <= now {
            open
        } else if reason.is_urgent() {
            latest.plus(lifetime / 10)
        } else {
            place_free
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: SignedDuration = SignedDuration::from_hours(1);

    fn at(seconds: i64) -> BootInstant {
        BootInstant(SignedDuration::from_secs(seconds))
    }

    #[test]
    fn an_unspent_budget_lets_everything_pass() {
        let mut budget = MintBudget::default();
        budget.count(at(0), 3);
        budget.count(at(1), 3);
        assert!(budget.opens(Reason::Requested, 3, HOUR, at(2)) <= at(2));
    }

    #[test]
    fn a_spent_budget_holds_requests_until_a_place_is_free_and_slows_what_is_due() {
        let mut budget = MintBudget::default();
        for second in [0, 1, 2] {
            budget.count(at(second), 3);
        }
        assert_eq!(budget.opens(Reason::Requested, 3, HOUR, at(10)), at(3600));
        assert_eq!(budget.opens(Reason::Due, 3, HOUR, at(10)), at(362));
        assert!(budget.opens(Reason::Requested, 3, HOUR, at(3600)) <= at(3600));
        budget.count(at(362), 3);
        assert_eq!(budget.opens(Reason::Requested, 3, HOUR, at(400)), at(3601), "the window slides");
    }
}

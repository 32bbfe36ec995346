//! The mint budget: how many tokens one rotation may ask for in one lifetime.

use std::collections::VecDeque;

use jiff::SignedDuration;

use crate::rotation::BootInstant;
use crate::rotation::policy::{Reason, When};

/// When tokens were issued, as far back as the budget reaches. A request whose answer was lost counts as one.
#[derive(Default, Debug, Clone)]
pub(super) struct MintBudget {
    issued: VecDeque<BootInstant>,
    /// The last token that we got when the budget was spent already.
    beyond: Option<BootInstant>,
}

impl MintBudget {
    /// A token that we hold now.
    pub(super) fn count_issued(&mut self, at: BootInstant, budget: u32, lifetime: SignedDuration) {
        if self.is_spent(budget, lifetime, at) {
            self.beyond = Some(at);
        }
        self.count(at, budget);
    }

    /// A request whose answer was lost: a token may have been issued.
    pub(super) fn count_lost(&mut self, at: BootInstant, budget: u32) {
        self.count(at, budget);
    }

    fn count(&mut self, at: BootInstant, budget: u32) {
        self.issued.push_back(at);
        while self.issued.len() > budget as usize {
            self.issued.pop_front();
        }
    }

    fn is_spent(&self, budget: u32, lifetime: SignedDuration, now: BootInstant) -> bool {
        self.place_free(budget, lifetime).is_some_and(|free| free > now)
    }

    /// When the oldest of a full budget is a lifetime ago.
    fn place_free(&self, budget: u32, lifetime: SignedDuration) -> Option<BootInstant> {
        let is_full = self.issued.len() >= budget as usize;
        self.issued.front().filter(|_| is_full).map(|oldest| oldest.plus(lifetime))
    }

    /// When the budget lets this reason pass. Once it is spent, urgent reasons go on as the backoff allows while tries
    /// fail, and are slowed to one token per tenth of the lifetime when tokens come; the others wait until a place is
    /// free again.
    #[must_use]
    pub(super) fn opens(
        &self,
        reason: Reason,
        budget: u32,
        lifetime: SignedDuration,
        now: BootInstant,
    ) -> BootInstant {
        let open = When::AT_ONCE.boot;
        match self.place_free(budget, lifetime).filter(|free| *free > now) {
            None => open,
            Some(_) if reason.is_urgent() => self.beyond.map_or(open, |beyond| beyond.plus(lifetime / 10)),
            Some(free) => free,
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
        budget.count_issued(at(0), 3, HOUR);
        budget.count_issued(at(1), 3, HOUR);
        assert!(budget.opens(Reason::Requested, 3, HOUR, at(2)) <= at(2));
    }

    #[test]
    fn a_spent_budget_holds_requests_until_a_place_is_free() {
        let mut budget = MintBudget::default();
        for second in [0, 1, 2] {
            budget.count_issued(at(second), 3, HOUR);
        }
        assert_eq!(budget.opens(Reason::Requested, 3, HOUR, at(10)), at(3600));
        assert!(budget.opens(Reason::Due, 3, HOUR, at(10)) <= at(10), "what is due passes");
        assert!(budget.opens(Reason::Requested, 3, HOUR, at(3600)) <= at(3600));
    }

    #[test]
    fn tokens_beyond_the_budget_slow_what_is_due_to_a_tenth_of_the_lifetime() {
        let mut budget = MintBudget::default();
        for second in [0, 1, 2, 3] {
            budget.count_issued(at(second), 3, HOUR);
        }
        assert_eq!(budget.opens(Reason::Due, 3, HOUR, at(10)), at(363));
        assert_eq!(budget.opens(Reason::Requested, 3, HOUR, at(10)), at(3601), "the window slides");
    }

    #[test]
    fn lost_answers_spend_the_budget_and_never_slow_what_is_due() {
        let mut budget = MintBudget::default();
        for second in 0..100 {
            budget.count_lost(at(second), 3);
        }
        assert!(budget.opens(Reason::Due, 3, HOUR, at(100)) <= at(100), "an outage that hangs is an outage");
        assert!(budget.opens(Reason::Requested, 3, HOUR, at(100)) > at(100));
    }
}

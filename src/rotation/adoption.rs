//! Which of the verified tokens that were found is to be held.

/// A verified token: in some sink, or already in hand.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Candidate {
    pub generation: u64,
    pub usable: bool,
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Choice {
    /// Index of the chosen candidate.
    pub index: usize,
    /// The generation under which it is held from now on.
    pub generation: u64,
}

/// The usable token of the highest generation; without one, the one of the highest generation, so that the next token
/// is numbered above it. A usable token that an unusable one outranks is numbered anew, above all that was verified:
/// no sink's verified generation ever moves back.
#[must_use]
pub fn choose(candidates: &[Candidate]) -> Option<Choice> {
    let best = |usable_only: bool| {
        let eligible = candidates.iter().enumerate().filter(|(_, c)| c.usable || !usable_only);
        // The first of equals: what is in hand already comes first.
        eligible.rev().max_by_key(|(_, c)| c.generation)
    };
    let (_, highest) = best(false)?;
    let (index, chosen) = best(true).or(best(false))?;
    let outranked = chosen.generation < highest.generation;
    Some(Choice {
        index,
        generation: if outranked { highest.generation.saturating_add(1) } else { chosen.generation },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn table() {
        let usable = |generation| Candidate { generation, usable: true };
        let expired = |generation| Candidate { generation, usable: false };
        let choice = |index, generation| Some(Choice { index, generation });
        for (sentence, candidates, expected) in [
            ("nothing found, nothing chosen", vec![], None),
            ("the highest usable generation wins", vec![usable(3), usable(5), usable(4)], choice(1, 5)),
            ("the first of equals wins", vec![usable(5), usable(5)], choice(0, 5)),
            ("an expired token is held where there is no better", vec![expired(2), expired(7)], choice(1, 7)),
            ("an outranked usable token is numbered anew", vec![usable(3), expired(7)], choice(0, 8)),
            ("a lower expired one changes nothing", vec![expired(2), usable(3)], choice(1, 3)),
        ] {
            assert_eq!(choose(&candidates), expected, "{sentence}");
        }
    }
}

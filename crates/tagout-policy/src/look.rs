//! Whether a decision depends on the arguments: whoever has them only in part must know.
use crate::{
    facts::{Facts, Given},
    ladder::ladder,
    load::Policy,
    request::Question,
};

impl Policy {
    /// Whether what is decided about a call may depend on its arguments. Where it does not, the
    /// decision is the same whatever they are.
    #[must_use]
    pub fn looks_at_arguments(&self, facts: &Facts<'_>) -> bool {
        // Arguments of other types than declared are denied for that.
        let Ok(subject) = self.about(facts) else { return facts.subject.is_some() };
        if !self.asks.about("arguments") && !self.asks.about("undeclared") {
            return false;
        }
        let Ok(question) = Question::of(self, facts, subject, true) else { return true };
        let ladder = ladder(&self.asks, &facts.principal.groups);
        let mut steps = std::iter::once(Given::NONE).chain(ladder);
        steps.any(|given| self.evaluate_open(&question, &given).is_none())
    }
}

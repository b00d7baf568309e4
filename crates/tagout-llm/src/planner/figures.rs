//! Figures: bound by their unit, never by guess.
use super::{
    bind::{FAR, Question, Reading},
    fill::number,
    quantities::Quantity,
    slots::{Kind, Slot},
    texts::problem,
};
use crate::plan::BoundBy;

/// How near an argument's name a bare figure must stand to be taken for it, in words.
const BESIDE: usize = 3;

/// Gives the figures of the question to number arguments.
pub(super) fn figures(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    by_unit(question, slots, reading);
    only_number(question, slots, reading);
    beside_name(question, slots, reading);
}

/// Figures that may still be bound.
fn free<'a>(question: &'a Question<'_>, reading: &Reading) -> Vec<&'a Quantity> {
    question.quantities.iter().filter(|quantity| reading.is_free(quantity.span)).collect()
}

fn open(slots: &[Slot<'_>], reading: &Reading) -> Vec<usize> {
    (0..slots.len())
        .filter(|&index| {
            let slot = slots.get(index);
            slot.is_some_and(|slot| matches!(slot.kind, Kind::Number { .. }) && !slot.many)
                && !reading.is_settled(index)
        })
        .collect()
}

/// Whether a figure's unit measures what the argument holds.
fn fits(slot: &Slot<'_>, quantity: &Quantity) -> bool {
    let Some(wanted) = slot.unit else { return false };
    quantity.unit.map_or(
        quantity.degrees && wanted.dimension == super::quantities::Dimension::Temperature,
        |given| given.dimension == wanted.dimension,
    )
}

/// Every figure with a unit goes to the argument of that dimension whose name stands nearest.
fn by_unit(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    let given = free(question, reading);
    let mut pairs: Vec<(usize, usize, usize)> = Vec::new();
    for index in open(slots, reading) {
        let Some(slot) = slots.get(index) else { continue };
        for (number, quantity) in given.iter().enumerate().filter(|(_, q)| fits(slot, q)) {
            pairs.push((question.distance(quantity.span, slot), index, number));
        }
    }
    pairs.sort_unstable();
    for &(gap, index, figure) in &pairs {
        let (Some(slot), Some(quantity)) = (slots.get(index), given.get(figure)) else { continue };
        if reading.is_settled(index) || !reading.is_free(quantity.span) {
            continue;
        }
        let rivals = rival_slots(&pairs, (gap, index, figure), reading);
        let others = rival_figures(&pairs, (gap, index), question, &given, reading);
        if rivals.is_empty() && others <= 1 {
            bind(question, (index, slot), quantity, reading);
        } else if rivals.is_empty() {
            let message = format!("the question gives {others} figures for it");
            reading.problems.push(problem(index, message));
        } else {
            let names: Vec<String> =
                rivals.iter().filter_map(|&rival| slots.get(rival)).map(Slot::dotted).collect();
            let text = written(question, quantity);
            let message = format!("`{text}` could be this or `{}`", names.join("` or `"));
            reading.problems.push(problem(index, message));
            reading.taken.push(quantity.span);
        }
    }
}

/// Other open arguments that the figure belongs to just as well.
fn rival_slots(
    pairs: &[(usize, usize, usize)],
    (gap, index, figure): (usize, usize, usize),
    reading: &Reading,
) -> Vec<usize> {
    pairs
        .iter()
        .filter(|&&(g, i, f)| g == gap && i != index && f == figure && !reading.is_settled(i))
        .map(|&(_, i, _)| i)
        .collect()
}

/// How many figures belong to the argument just as well: those that stand beside its name, or, if
/// none does, all of its dimension.
fn rival_figures(
    pairs: &[(usize, usize, usize)],
    (gap, index): (usize, usize),
    question: &Question<'_>,
    given: &[&Quantity],
    reading: &Reading,
) -> usize {
    let near = |g: usize| if gap == FAR { g == FAR } else { g <= BESIDE + 1 || g == gap };
    let is_free = |f: usize| given.get(f).is_some_and(|q| reading.is_free(q.span));
    // A figure that stands nearer to another argument's name is that one's.
    let own = |g: usize, f: usize| !pairs.iter().any(|&(h, i, o)| o == f && i != index && h < g);
    let mut values: Vec<&str> = pairs
        .iter()
        .filter(|&&(g, i, f)| i == index && near(g) && is_free(f) && own(g, f))
        .filter_map(|&(_, _, f)| given.get(f).map(|q| written(question, q)))
        .collect();
    values.sort_unstable();
    values.dedup();
    values.len()
}

fn written<'q>(question: &Question<'q>, quantity: &Quantity) -> &'q str {
    question.text.get(quantity.span.start..quantity.span.end).unwrap_or_default()
}

fn bind(
    question: &Question<'_>,
    (index, slot): (usize, &Slot<'_>),
    quantity: &Quantity,
    reading: &mut Reading,
) {
    let by =
        if quantity.unit.is_some() || quantity.degrees { BoundBy::Unit } else { BoundBy::Words };
    match number(slot, quantity, written(question, quantity)) {
        Ok((value, conversion)) => {
            reading.bind(index, value, by, question.at(quantity.span));
            if let Some(bound) = reading.bound.last_mut() {
                bound.conversion = conversion;
            }
        }
        Err(message) => reading.problems.push(problem(index, message)),
    }
}

/// A bare figure goes to the only required number that is missing, if it is the only one.
fn only_number(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    let required: Vec<usize> = open(slots, reading)
        .into_iter()
        .filter(|&index| slots.get(index).is_some_and(|slot| slot.required))
        .collect();
    let bare: Vec<&Quantity> = free(question, reading)
        .into_iter()
        .filter(|quantity| quantity.unit.is_none() && !quantity.degrees)
        .collect();
    if let ([index], [quantity]) = (required.as_slice(), bare.as_slice())
        && let Some(slot) = slots.get(*index)
    {
        bind(question, (*index, slot), quantity, reading);
        if let Some(bound) = reading.bound.last_mut().filter(|bound| bound.slot == *index) {
            bound.by = BoundBy::OnlyNumber;
        }
    }
}

/// A bare figure beside an argument's name is meant for it. If the argument has a unit, the person
/// is asked rather than the unit guessed: leaving the figure out would answer another question.
fn beside_name(question: &Question<'_>, slots: &[Slot<'_>], reading: &mut Reading) {
    for quantity in free(question, reading) {
        if quantity.unit.is_some() || quantity.degrees {
            continue;
        }
        let nearest = open(slots, reading)
            .into_iter()
            .filter_map(|index| slots.get(index).map(|slot| (index, slot)))
            .map(|(index, slot)| (question.distance(quantity.span, slot), index, slot))
            .min_by_key(|(gap, index, _)| (*gap, *index));
        let Some((gap, index, slot)) = nearest else { return };
        if gap > BESIDE {
            continue;
        }
        match slot.unit {
            None => bind(question, (index, slot), quantity, reading),
            Some(unit) => {
                let text = written(question, quantity);
                let message = format!(
                    "`{text}` has no unit; write `{text} {}` if that is meant",
                    unit.symbol
                );
                reading.problems.push(problem(index, message));
                reading.taken.push(quantity.span);
            }
        }
    }
}

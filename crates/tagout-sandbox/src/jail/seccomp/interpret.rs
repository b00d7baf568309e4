//! What a filter says of a call, by this process's own reckoning.
use super::assemble::{AND, ANSWER, Ask, Instruction, JUMP, LOAD};

/// A system call, as a filter sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Call {
    pub(crate) number: u32,
    /// Its architecture's number in the kernel's audit records.
    pub(crate) architecture: u32,
    pub(crate) arguments: [u64; 6],
}

impl Call {
    /// The word at `offset` of what the kernel lays before the filter.
    fn word(&self, offset: u32) -> Option<u32> {
        let place = usize::try_from(offset / 4).ok()?;
        match place {
            _ if !offset.is_multiple_of(4) => None,
            0 => Some(self.number),
            1 => Some(self.architecture),
            // The instruction's address, which no filter of ours asks for.
            2 | 3 => Some(0),
            _ => {
                let argument = *self.arguments.get((place - 4) / 2)?;
                let half = if place.is_multiple_of(2) { argument } else { argument >> 32 };
                u32::try_from(half & u64::from(u32::MAX)).ok()
            }
        }
    }
}

/// The program's answer, or `None` where the kernel would not have taken the program.
pub(crate) fn interpret(program: &[Instruction], call: &Call) -> Option<u32> {
    let mut accumulator = 0;
    let mut place: usize = 0;
    loop {
        let instruction = program.get(place)?;
        place += 1;
        match instruction.code {
            LOAD => accumulator = call.word(instruction.operand)?,
            AND => accumulator &= instruction.operand,
            JUMP => place = place.checked_add(usize::try_from(instruction.operand).ok()?)?,
            ANSWER => return Some(instruction.operand),
            code => {
                let holds = if code == Ask::Equal.code() {
                    accumulator == instruction.operand
                } else if code == Ask::AtLeast.code() {
                    accumulator >= instruction.operand
                } else {
                    return None;
                };
                place += usize::from(if holds { instruction.yes } else { instruction.no });
            }
        }
    }
}

//! An assembler of classic BPF, as far as filters of system calls need it.
//!
//! Programs are put together from their end, so that whatever an instruction jumps to is there
//! already, and its distance known. A test can jump over 255 instructions at most; where that is not
//! enough, an unconditional jump, which reaches everywhere, is put in between.

/// One instruction, laid out as the kernel wants it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Instruction {
    pub(crate) code: u16,
    pub(crate) yes: u8,
    pub(crate) no: u8,
    pub(crate) operand: u32,
}

/// Loads a word of the call's data into the accumulator.
pub(super) const LOAD: u16 = 0x20;
/// Takes from the accumulator what the operand does not have.
pub(super) const AND: u16 = 0x54;
/// Jumps always, as far as the operand says.
pub(super) const JUMP: u16 = 0x05;
/// Ends the program with the operand as its answer.
pub(super) const ANSWER: u16 = 0x06;

/// What a test asks of the accumulator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ask {
    /// Whether it is the operand.
    Equal,
    /// Whether it is the operand or more.
    AtLeast,
}

impl Ask {
    pub(super) const fn code(self) -> u16 {
        match self {
            Self::Equal => 0x15,
            Self::AtLeast => 0x35,
        }
    }
}

/// A place in the program: how many instructions there are from it to the end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Label(usize);

/// A program in the making, last instruction first.
#[derive(Debug, Default)]
pub(super) struct Assembler {
    reversed: Vec<Instruction>,
}

impl Assembler {
    /// The program, in the order in which it runs; its start is what was put last.
    pub(super) fn finish(self) -> Vec<Instruction> {
        self.reversed.into_iter().rev().collect()
    }

    /// An end of the program. One that is near is used again.
    pub(super) fn answer(&mut self, action: u32) -> Label {
        let wanted = Instruction { code: ANSWER, yes: 0, no: 0, operand: action };
        let near = self.reversed.iter().rev().take(NEAR).position(|there| *there == wanted);
        match near {
            Some(back) => Label(self.reversed.len() - back),
            None => self.put(wanted),
        }
    }

    /// Loads the word at `offset` of the call's data, then goes on at `next`.
    pub(super) fn load(&mut self, offset: u32, next: Label) -> Label {
        self.go_on(next);
        self.put(Instruction { code: LOAD, yes: 0, no: 0, operand: offset })
    }

    /// Keeps the bits of `mask`, then goes on at `next`.
    pub(super) fn keep(&mut self, mask: u32, next: Label) -> Label {
        self.go_on(next);
        self.put(Instruction { code: AND, yes: 0, no: 0, operand: mask })
    }

    /// Goes to `yes` or `no`.
    pub(super) fn test(&mut self, ask: Ask, operand: u32, yes: Label, no: Label) -> Label {
        // What is put between for the one moves the other one further away.
        let no = self.within_reach(no);
        let yes = self.within_reach(yes);
        let (yes, no) = (self.distance(yes), self.distance(no));
        self.put(Instruction { code: ask.code(), yes, no, operand })
    }

    fn put(&mut self, instruction: Instruction) -> Label {
        self.reversed.push(instruction);
        Label(self.reversed.len())
    }

    /// Sees to it that what runs after the next instruction is `next`.
    fn go_on(&mut self, next: Label) {
        if next.0 != self.reversed.len() {
            self.jump(next);
        }
    }

    fn jump(&mut self, to: Label) -> Label {
        let over = u32::try_from(self.reversed.len() - to.0).unwrap_or(u32::MAX);
        self.put(Instruction { code: JUMP, yes: 0, no: 0, operand: over })
    }

    fn within_reach(&mut self, label: Label) -> Label {
        if self.reversed.len() - label.0 < NEAR { label } else { self.jump(label) }
    }

    /// Within reach by now, so that the conversion does not fail.
    fn distance(&self, label: Label) -> u8 {
        u8::try_from(self.reversed.len() - label.0).unwrap_or(u8::MAX)
    }
}

/// How far away a place may be without a jump in between; one jump more still fits.
const NEAR: usize = 250;

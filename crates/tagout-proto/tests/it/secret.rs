//! A secret neither shows nor stays.
use std::{cell::Cell, rc::Rc};

use tagout_proto::Secret;
use zeroize::Zeroize;

/// Counts how often it was wiped.
struct Watched(Rc<Cell<u32>>);

impl Zeroize for Watched {
    fn zeroize(&mut self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_secret_is_wiped_when_it_is_dropped_and_no_earlier() {
    let wiped = Rc::new(Cell::new(0));
    let secret = Secret::new(Watched(Rc::clone(&wiped)));
    let moved = secret;
    assert_eq!(wiped.get(), 0);
    drop(moved);
    assert_eq!(wiped.get(), 1);
}

#[test]
fn what_wipes_a_text_leaves_none_of_it() {
    let mut text = "hunter2hunter2".to_owned();
    text.zeroize();
    assert!(text.is_empty());
    let mut key = [7_u8; 32];
    key.zeroize();
    assert_eq!(key, [0; 32]);
}

#[test]
fn debug_says_that_it_is_a_secret_and_nothing_else() {
    let shown = format!("{:?} {:#?}", Secret::new("hunter2".to_owned()), Secret::new([1_u8; 4]));
    assert_eq!(shown, "<secret> <secret>");
}

#[test]
fn what_would_show_or_copy_it_does_not_compile() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

//! No stage can be skipped, forged or taken twice: what tries to does not compile.

#[test]
fn stages_cannot_be_skipped() {
    trybuild::TestCases::new().compile_fail("tests/compile_fail/*.rs");
}

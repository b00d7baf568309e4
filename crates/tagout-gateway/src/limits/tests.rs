use super::*;
use crate::config::{Config, Rate, Unit};

fn limits(text: &str, state: &Path) -> Limits {
    let config = Config::parse("tagout.toml", text, Path::new("/etc/tagout")).unwrap();
    let now = "2026-11-22T00:00:00Z".parse().unwrap();
    let log = Log::open(&state.join("audit"), &state.join("key"), now).unwrap();
    Limits::new(config.shares, (log, Clock::new(move || now)), state)
}

fn cell(bounds: Bounds, now: Instant) -> Arc<Cell> {
    Cell::new(now, bounds, None)
}

const ONE: Demand = Demand { calls: 1, places: 1, bytes_in: 10, cost: 0 };

#[test]
fn a_call_makes_room_for_another_when_it_is_over() {
    let now = Instant::now();
    let cell = cell(Bounds { at_once: Some(2), ..Bounds::default() }, now);
    let first = Taken::take(&cell, ONE, now).unwrap();
    let _second = Taken::take(&cell, ONE, now).unwrap();
    let short = Taken::take(&cell, ONE, now).unwrap_err();
    assert_eq!((short.measure, short.wait), (Measure::AtOnce, None));
    drop(first);
    Taken::take(&cell, ONE, now).unwrap();
}

#[test]
fn what_one_limit_refuses_takes_nothing_of_another() {
    let now = Instant::now();
    let rate = |text| Some(Rate::parse(text, Unit::Calls).unwrap());
    let wide = cell(Bounds { calls: rate("3/h"), ..Bounds::default() }, now);
    let narrow = cell(Bounds { calls: rate("1/h"), ..Bounds::default() }, now);
    let both = |wide: &Arc<Cell>, narrow: &Arc<Cell>| {
        let permit = Permit::of(Taken::take(wide, ONE, now)?);
        Taken::take(narrow, ONE, now).map(drop).inspect_err(|_| permit.undo())
    };
    both(&wide, &narrow).unwrap();
    for _ in 0..10 {
        both(&wide, &narrow).unwrap_err();
    }
    // Two of three are still there.
    drop((Taken::take(&wide, ONE, now).unwrap(), Taken::take(&wide, ONE, now).unwrap()));
    Taken::take(&wide, ONE, now).unwrap_err();
}

#[test]
fn bytes_that_went_out_hold_up_what_comes_next() {
    let now = Instant::now();
    let rate = Some(Rate::parse("1 KiB/s", Unit::Bytes).unwrap());
    let cell = cell(Bounds { bytes_out: rate, ..Bounds::default() }, now);
    let permit = Permit::of(Taken::take(&cell, ONE, now).unwrap());
    cell.went_out(10 << 10, now);
    let short = Taken::take(&cell, ONE, now + Duration::from_secs(5)).unwrap_err();
    assert_eq!(short.measure, Measure::BytesOut);
    assert!(Taken::take(&cell, ONE, now + Duration::from_secs(9)).is_ok());
    drop(permit);
}

#[test]
fn a_cost_is_paid_by_all_or_by_none() {
    let now = Instant::now();
    let costs = |text| {
        let cost = Some(Rate::parse(text, Unit::Calls).unwrap());
        cell(Bounds { cost, ..Bounds::default() }, now)
    };
    let (rich, poor) = (costs("100/h"), costs("10/h"));
    let mut permit = Permit::of(Taken::take(&rich, ONE, now).unwrap());
    permit.add(Taken::take(&poor, ONE, now).unwrap());
    permit.pay(8, now).unwrap();
    for _ in 0..20 {
        permit.pay(8, now).unwrap_err();
    }
    let left = Demand { cost: 92, ..Demand::default() };
    rich.take(left, now).unwrap();
}

#[test]
fn names_without_end_take_no_memory_without_end() {
    let now = Instant::now();
    let table: Table<Cell> = Table::new(100);
    let bounds = Bounds { at_once: Some(1), ..Bounds::default() };
    let busy = table.of("busy", now, || cell(bounds, now));
    let held = Taken::take(&busy, ONE, now).unwrap();
    for n in 0..100_000 {
        let cell =
            table.of(&format!("name {n}"), now + Duration::from_millis(n), || cell(bounds, now));
        drop(Taken::take(&cell, ONE, now));
    }
    assert!(table.len() <= 100, "{}", table.len());
    // Who is in the middle of something is not forgotten for it.
    let again = table.of("busy", now, || cell(bounds, now));
    assert!(Taken::take(&again, ONE, now).is_err());
    drop(held);
}

#[test]
fn names_that_find_no_room_share_one_share() {
    let now = Instant::now();
    let table: Table<Cell> = Table::new(1);
    let bounds = Bounds { at_once: Some(1), ..Bounds::default() };
    let first = table.of("first", now, || cell(bounds, now));
    let _first = Taken::take(&first, ONE, now).unwrap();
    let second = table.of("second", now, || cell(bounds, now));
    let _second = Taken::take(&second, ONE, now).unwrap();
    let third = table.of("third", now, || cell(bounds, now));
    Taken::take(&third, ONE, now).unwrap_err();
}

#[test]
fn refusals_are_counted_and_all_of_them_go_on_record() {
    let state = tempfile::tempdir().unwrap();
    let principal = |user: &str| Principal {
        user: user.into(),
        groups: Default::default(),
        authenticated_by: "api-key".into(),
    };
    let (ann, bob) = (principal("ann"), principal("bob"));
    let limits = limits("[limits.principal]\ncalls = \"5/h\"", state.path());
    let look = |who: &Principal| {
        let entered = limits.enter(who);
        match &entered {
            Ok(()) => limits.counts_itself(who),
            Err(over) => limits.counted.count(who, over),
        }
        entered.is_ok()
    };
    for _ in 0..5 {
        assert!(look(&ann));
        assert!(matches!(limits.refusing(&ann, Refusal::IdInUse), Refusal::IdInUse));
    }
    for _ in 0..1000 {
        assert!(!look(&ann));
        assert!(look(&bob));
    }
    let refused = limits.refusing(&ann, Refusal::IdInUse);
    let over = refused.over().unwrap();
    assert_eq!((over.code(), over.retry_after_s()), ("limit-rate", 720));
    let shown = refused.for_caller(None);
    assert!(
        shown.contains(r#""limit":{"of":"principal","what":"calls","value":"5/h"}"#),
        "{shown}"
    );
    assert!(shown.contains(r#""retry_after":7"#), "{shown}");
    // Nothing is written one by one, and nothing is lost at the end.
    let notes = || {
        let text = std::fs::read(state.path().join("audit/log-000001.jsonl")).unwrap_or_default();
        let text = String::from_utf8(text).unwrap();
        text.lines()
            .filter(|line| line.contains("limit-exceeded"))
            .map(str::to_owned)
            .collect::<Vec<_>>()
    };
    let files: Vec<_> = std::fs::read_dir(state.path().join("audit")).unwrap().flatten().collect();
    assert!(notes().is_empty(), "{files:?}");
    drop(limits);
    let notes = notes();
    assert_eq!(notes.len(), 1, "{notes:?} {files:?}");
    assert!(notes[0].contains("1000 refused, limit 5/h, 2026-11-22T00:00:00Z"), "{notes:?}");
}

#[test]
fn a_client_has_one_share_whatever_its_version() {
    let state = tempfile::tempdir().unwrap();
    let text = "[limits.client]\ncalls = \"1/h\"\n[limits.clients.night]\ncalls = \"2/h\"\n\
                [limits.clients.\"night agent\"]\ncalls = \"3/h\"";
    let (limits, now) = (limits(text, state.path()), Instant::now());
    let node = limits.principal("ann", now);
    let share = |name: &str| limits.client(&node, name, now).unwrap();
    let left =
        |cell: &Arc<Cell>| (0..9).take_while(|_| Taken::take(cell, ONE, now).is_ok()).count();
    assert_eq!(left(&share("night 1.0")), 2);
    assert_eq!(left(&share("night 2.0")), 0);
    // The longest name that fits is meant.
    assert_eq!(left(&share("night agent 1.0")), 3);
    assert_eq!(left(&share("night agent 1.1")), 0);
    // Nobody has said anything about that one.
    assert_eq!(left(&share("other 1.0")), 1);
    assert_eq!(left(&share("other 1.1")), 0);
}

#[test]
fn a_task_keeps_its_place_until_it_is_over_or_took_too_long() {
    let now = Instant::now();
    let wall = Some(Duration::from_secs(60));
    let cell = cell(Bounds { at_once: Some(1), wall, ..Bounds::default() }, now);
    let tasks = Tasks::default();
    let begins = |name: &str| {
        let permit = Permit::of(Taken::take(&cell, ONE, now).unwrap());
        tasks.goes_on(name.to_owned(), &permit, now);
    };
    begins("one");
    Taken::take(&cell, ONE, now).unwrap_err();
    tasks.over("another");
    Taken::take(&cell, ONE, now).unwrap_err();
    tasks.over("one");
    begins("two");
    tasks.sweep(now + Duration::from_secs(59));
    Taken::take(&cell, ONE, now).unwrap_err();
    tasks.sweep(now + Duration::from_secs(61));
    Taken::take(&cell, ONE, now).unwrap();
}

#[tokio::test]
async fn what_could_not_be_written_is_written_later() {
    let state = tempfile::tempdir().unwrap();
    let limits = limits("", state.path());
    let (whose, measure) = (Whose::Gateway, Measure::Calls);
    let over = Over { whose, measure, bound: "1/h".into(), wait: None };
    let ann =
        Principal { user: "ann".into(), groups: Default::default(), authenticated_by: "k".into() };
    limits.counted.count(&ann, &over);
    // Its second is not over by that clock, so nothing is written; nor is it forgotten.
    for _ in 0..2 {
        assert!(limits.counted.is_due());
        tokio::time::sleep(Duration::from_millis(1200)).await;
    }
    assert!(limits.counted.is_due());
    limits.counted.flush();
    while limits.counted.is_due() {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

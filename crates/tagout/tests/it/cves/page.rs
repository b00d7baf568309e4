//! `docs/vulnerabilities.md` says what there is: every identifier, and tests that exist.
use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// What was looked through. Who adds one here adds its row, and its test.
const KNOWN: &str = "
    CVE-2026-42559 CVE-2025-66414 CVE-2025-66416 CVE-2026-35568 CVE-2026-34742 CVE-2025-64443
    GHSA-g53w-w6mj-hrpp GHSA-pr64-jmmf-jp54 CVE-2026-27896 CVE-2026-25536 CVE-2026-52869
    CVE-2026-52870 CVE-2026-59950 CVE-2025-6515 CVE-2026-33946 CVE-2025-53365 CVE-2025-53366
    CVE-2026-0621 CVE-2025-6514 CVE-2025-49596 CVE-2026-23744 CVE-2026-30615 CVE-2026-30617
    CVE-2025-54136 CVE-2025-54135 CVE-2025-59536 CVE-2026-21852 CVE-2025-53109 CVE-2025-53110
    CVE-2025-68143 CVE-2025-68144 CVE-2025-68145 CVE-2026-27735 CVE-2026-27825 CVE-2026-26118
    CVE-2025-65512 CVE-2025-65513 CVE-2026-32211 CVE-2026-33032 CVE-2025-53967 CVE-2025-32711
    CVE-2026-29791 CVE-2026-55887 GHSA-4gph-2hhr-5mwg GHSA-vgf8-3685-66j9 GHSA-x39c-q2jx-f325
    CVE-2025-47274 GO-2026-6002 GO-2026-5996 CVE-2026-42271 CVE-2026-48710 CVE-2025-61260
    Obot-0.21.0 ContextForge-3891 TrustFall OX-stdio Supabase-ticket GitHub-toxic-flow
    postmark-mcp-BCC Asana-tenant-mix
";
/// Where tests stand that are named without a folder.
const HERE: &str = "crates/tagout/tests/it/cves";

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

fn read(path: &Path) -> String {
    let bytes = fs::read(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    String::from_utf8(bytes).unwrap()
}

/// The rows of the page's tables: an identifier, and the tests of its last cell.
fn rows() -> BTreeMap<String, Vec<String>> {
    let page = read(&root().join("docs/vulnerabilities.md"));
    let lines = page.lines().filter_map(|line| line.strip_prefix("| ")?.strip_suffix(" |"));
    let mut rows = BTreeMap::new();
    for line in lines {
        let cells: Vec<_> = line.split(" | ").collect();
        let (id, tests) = (cells[0], *cells.last().unwrap());
        if id == "id" || id.starts_with('-') {
            continue;
        }
        assert_eq!(cells.len(), 5, "{line}");
        let tests: Vec<_> = tests.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect();
        let why = cells[3].starts_with("Does not concern it:");
        assert_ne!(tests.is_empty(), !why, "{id} has a test, or a reason why not");
        assert!(rows.insert(id.to_owned(), tests).is_none(), "{id} stands there twice");
    }
    rows
}

/// An identifier as it stands in a test's name.
fn in_name(id: &str) -> String {
    id.to_lowercase().replace(['-', '.'], "_")
}

#[test]
fn every_identifier_has_its_row_and_no_other_has() {
    let rows: BTreeSet<_> = rows().into_keys().collect();
    let known: BTreeSet<_> = KNOWN.split_whitespace().map(ToOwned::to_owned).collect();
    assert_eq!(rows, known);
}

#[test]
fn every_test_that_is_named_exists_and_bears_its_identifier() {
    for (id, tests) in rows() {
        for test in tests {
            let (file, name) = test.split_once("::").unwrap_or_else(|| panic!("{test}"));
            let folder = if file.contains('/') { root() } else { root().join(HERE) };
            let text = read(&folder.join(file));
            let plain: String =
                text.lines().map(|line| line.trim_start().to_owned() + "\n").collect();
            assert!(plain.contains(&format!("#[test]\nfn {name}()")), "{test} is not there");
            assert!(name.contains(&in_name(&id)), "{test} does not say {id}");
        }
    }
}

#[test]
fn every_test_of_a_hole_is_on_the_page() {
    let named: BTreeSet<_> = rows().into_values().flatten().collect();
    for entry in fs::read_dir(root().join(HERE)).unwrap() {
        let path = entry.unwrap().path();
        let file = path.file_name().unwrap().to_str().unwrap();
        if file == "page.rs" {
            continue;
        }
        let text = read(&path);
        for test in text.split("#[test]\nfn ").skip(1) {
            let name = test.split('(').next().unwrap();
            assert!(named.contains(&format!("{file}::{name}")), "{file}::{name} is on no page");
        }
    }
}

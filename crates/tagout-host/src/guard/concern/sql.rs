//! Texts that read like SQL.
use std::sync::LazyLock;

use regex::Regex;

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let patterns = [
        r"(?i)\bunion\b[\s(/*!\d]+(?:all\b|distinct\b)?[\s(/*!\d]*select\b",
        r"(?is)\bselect\b.{1,400}\bfrom\b.{1,400}\b(?:where|limit|group\s+by|order\s+by|having|join)\b.{0,80}[=<>\d(]",
        r"(?i)\bselect\s+(?:\*|(?:count|sum|max|min|avg|top|distinct)\s*[( ])[^;]{0,200}\bfrom\s+\S",
        r"\bSELECT\b[\s\S]{1,400}\bFROM\b",
        r"(?i)[(;]\s*select\b[^;]{1,200}\bfrom\b",
        r"(?i)['\x22);\d]\s*;\s*(?:select|insert|update|delete|drop|exec(?:ute)?|declare|shutdown|create|alter|truncate|waitfor|set|grant|merge|copy)\b",
        r"(?i)\b(?:drop|truncate)\s+(?:table|database|schema|view|index|user|procedure)\s+[\w.\x22`\[]+\s*(?:;|--|$|cascade)",
        r"\b(?:DROP|TRUNCATE|ALTER|CREATE)\s+(?:OR\s+REPLACE\s+)?(?:TABLE|DATABASE|SCHEMA|VIEW|INDEX|USER|ROLE|TRIGGER|PROCEDURE|FUNCTION|EXTENSION)\b",
        r"(?i)\binsert\s+into\s+[\w.\x22`\[\]]+\s*(?:\(|values\b|select\b)",
        r"(?i)\bdelete\s+from\s+[\w.\x22`\[\]]+\s*(?:where\b|;|--)|\bDELETE\s+FROM\s",
        r"(?i)\bupdate\s+[\w.\x22`\[\]]+\s+set\s+[\w.\x22`\[\]]+\s*=",
        // A condition that breaks out of a value.
        r#"(?i)'\s*(?:or|and|\|\||&&|xor|having|rlike|like|div|regexp)\s*[\s('"!~@\d+-][^'"]{0,40}['"]?\s*(?:=|<|>|\blike\b|\bis\b|\bbetween\b|\bin\b)"#,
        r#"(?i)[")`]\s*(?:or|and|\|\||&&|xor|having|rlike|like|div|regexp)\s*[\s('"!~@\d+-][^'"]{0,40}['"]*\s*(?:=|<|>)"#,
        r"(?i)'\s*(?:or|and|\|\||&&)\s*['(]",
        r"(?i)(?:\b(?:or|and)|\|\||&&)\s*\(*\d+\)*\s*=\s*\(*\d+",
        r"(?i)^-?\d+\s+(?:order|group)\s+by\s+\d",
        r"(?i)\bunion\s+(?:exec|all)\b|\bPRAGMA\s+\w+\s*=",
        r#"(?i)\b(?:or|and)\s+['"]\w*['"]\s*=\s*['"]"#,
        r#"['")]\s*(?:;\s*)?(?:(?:--|/\*)\s*[^'"]{0,20}|#)$"#,
        r"\d\s*;?\s*--\s*[-+a-z]?$",
        r#"(?i)['"]?/\*[!+]?[^/]{0,60}\*/\s*(?:or|and|union|select|\d)"#,
        // Functions and places that are nothing else.
        r"(?i)\b(?:pg_sleep|benchmark|extractvalue|updatexml|load_file|xp_\w+|sp_\w+|dbms_\w+|utl_\w+|randomblob|load_extension|ascii|substring|char|concat|group_concat|json_keys|exp|version|database|user|current_user|system_user|sleep)\s*\(\s*(?:0x|['\x22(@~\d)]|select\b|\w+\()",
        r"(?i)\bwaitfor\s+(?:delay|time)\b|\binto\s+(?:out|dump)file\b|\bprocedure\s+analyse\b",
        r"(?i)\b(?:information_schema|sysobjects|syscolumns|sqlite_master|pg_catalog|mysql\.user|sys\.\w+tables|all_tables|msysobjects)\b",
        r"(?i)@@(?:version|datadir|hostname|servername|global)\b",
        r#"(?i)['"]\s*\)*\s*(?:order|group)\s+by\s+\d"#,
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// The piece of `text` that reads like SQL.
pub(super) fn found(text: &str) -> Option<&str> {
    PATTERNS.iter().find_map(|pattern| pattern.find(text)).map(|found| {
        // From where it begins, as a reader wants to see where it leads.
        text.get(found.start()..).unwrap_or_default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_pattern_compiles() {
        assert_eq!(PATTERNS.len(), 26);
    }
}

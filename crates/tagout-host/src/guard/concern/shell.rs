//! Texts that read like commands of a shell.
use std::sync::LazyLock;

use regex::Regex;

/// Programs whose names are no words of prose.
const PROGRAMS: &str = "bash|zsh|ksh|dash|csh|curl|wget|nc|ncat|netcat|chmod|chown|sudo|whoami|uname|ifconfig|\
    netstat|nslookup|mkfifo|printenv|powershell(?:\\.exe)?|pwsh|cmd(?:\\.exe)?|python[23]?|perl|ruby|php|\
    tftp|scp|sftp|rsync|xxd|base64|crontab|systemctl|certutil|bitsadmin|rundll32|regsvr32|schtasks|\
    iex|iwr|invoke-\\w+|busybox|awk|gawk|sed|grep|egrep|xargs|ls|rm|rmdir|mkdir|mv|cp|ln|dd|ps|pkill|killall|wmic|tasklist|ipconfig|nohup|setsid|docker|kubectl|telnet|gcc|g\\+\\+|npx|pip[23]?|\
    mshta|cscript|wscript|gwmi|iwmi|bcdboot|bcdedit|regedit|msiexec|forfiles|findstr|xcopy|robocopy|icacls|takeown|attrib|vssadmin|\
    wevtutil|sc\\.exe|net1|ftype|pushd|popd|gdb|lldb|strace|ltrace|tcpdump|nmap|socat|openssl|gpg|tmux|chroot|chgrp|chsh|\
    chattr|lsattr|lsof|pgrep|dmesg|journalctl|apt-get|yum|dnf|apk|brew|gem|npm|nodejs|lua|ssh-keygen|sshpass|getent|passwd|\
    useradd|usermod|visudo|mkdir|unlink|rename|tar|gzip|gunzip|bzip2|zcat|bzcat|hexdump|uuencode|iconv|c89|c99|cc|make|cmake";

/// Programs whose names are words, too.
const WORDS: &str = "sh|cat|id|echo|touch|sleep|find|head|tail|kill|env|node|ssh|ftp|ping|dig|host|net|ip|type|dir|del|copy|\
    move|tee|cut|sort|test|time|date|source|eval|exec|export|set|alias|more|less|who|top|mount|reboot|shutdown|open|start|history|su|tac|nl|od|strings|file|which|print|printf|read|sysctl";

static PATTERNS: LazyLock<Vec<Regex>> = LazyLock::new(|| {
    let argument = r#"(?:\s+[-/~$"'.*\\]|\s+\d+(?:\s|$)|\s*$|\s*[;|&<>)`])"#;
    let patterns = [
        // Substitution.
        r"\$\(\s*[A-Za-z/.<]".to_owned(),
        r"\$\{?IFS".to_owned(),
        r"\$\(\([^)]*\)\)".to_owned(),
        r"[<>]\(\s*[a-z]".to_owned(),
        format!(r"`\s*(?i:{PROGRAMS}|{WORDS})\b[^`]*`"),
        // After something that ends a command.
        format!(r"(?:[;|&\n]|\|\||&&|%0[aAdD]|\$\()\s*(?:\S*/)?(?i:{PROGRAMS})\b(?:[\s;|&<>()$`]|$)"),
        format!(r"(?:[;|&\n]|\|\||&&|%0[aAdD]|\$\()\s*(?:\S*/)?(?i:{WORDS})\b{argument}"),
        r"(?:[;|]|&&)\s*[a-z][\w.+-]*\s+-{1,2}[A-Za-z]".to_owned(),
        // At the beginning, with what looks like an option, a path or an address.
        format!(r#"^\s*(?:\S*/)?(?i:{PROGRAMS})\s+(?:-{{1,2}}[A-Za-z]|[/~$"'.]|[a-z]+://)"#),
        r"^\s*(?i:cat|tail|head|find|echo|touch|type)\s+(?:[/~$]\S|-[a-z])".to_owned(),
        // Loops of a Windows shell, braces in place of blanks.
        r"(?i)\bfor\b[^\n]{1,80}%{1,2}\S\s+in\s*\([^\n]{0,300}\)\s*do\b".to_owned(),
        r"(?i)\bif\s+(?:/i\s+)?(?:not\s+)?(?:exist|defined|errorlevel|cmdextversion)\s+\S+\s*(?:\(|goto\b|echo\b|cmd\b|call\b)".to_owned(),
        r"\{[a-z]+,[^}\s]*[/-][^}\s]*\}".to_owned(),
        // Shells and where output goes.
        r"(?:^|[\s;|&=])/(?:usr/)?(?:local/)?s?bin/\w+".to_owned(),
        r"\b(?i:cmd(?:\.exe)?\s+/[ck]|powershell(?:\.exe)?\s+-\w+|(?:ba|z|k|da)?sh\s+-[ci])\b".to_owned(),
        r"[0-9&]?>{1,2}\s*(?:&\d|/(?:dev|tmp|etc|var|root|home)/)".to_owned(),
        r"/dev/(?:tcp|udp)/".to_owned(),
        // Functions, and options that programs take for commands.
        r"\(\)\s*\{[^}]*[;:|]".to_owned(),
        r"^\s*--[a-z][a-z-]+(?:=|\s+\S+=)\S".to_owned(),
        r"^\s*-o\s?(?i:ProxyCommand)".to_owned(),
        r"\b(?i:child_process|os\.system|subprocess\.|Runtime\.getRuntime|shell_exec|proc_open|popen\()".to_owned(),
        r"\b(?:__import__|eval|exec|system|passthru)\s*\(\s*['\x22$\w]".to_owned(),
    ];
    patterns.iter().filter_map(|pattern| Regex::new(pattern).ok()).collect()
});

/// The piece of `text` that reads like a command.
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
        assert_eq!(PATTERNS.len(), 22);
    }
}

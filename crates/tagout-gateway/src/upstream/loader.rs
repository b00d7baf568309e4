//! Variables that decide what code a program runs.

/// Beginnings of names.
const BEGINNINGS: [&str; 12] = [
    "LD_",
    "DYLD_",
    "BASH_FUNC_",
    "GIT_CONFIG",
    "GIT_SSH",
    "NPM_CONFIG_",
    "YARN_",
    "PIP_",
    "UV_",
    "CORECLR_",
    "COMPLUS_",
    "OPENSSL_",
];

/// Ends of names.
const ENDS: [&str; 2] = ["_OPTIONS", "_OPTS"];

/// Whole names.
const NAMES: [&str; 54] = [
    "BASHOPTS",
    "BASH_ENV",
    "BROWSER",
    "CLASSPATH",
    "DENO_DIR",
    "DOTNET_ADDITIONAL_DEPS",
    "DOTNET_STARTUP_HOOKS",
    "EDITOR",
    "ELECTRON_RUN_AS_NODE",
    "ENV",
    "GCONV_PATH",
    "GEM_HOME",
    "GEM_PATH",
    "GIO_EXTRA_MODULES",
    "GIT_ASKPASS",
    "GIT_EDITOR",
    "GIT_EXEC_PATH",
    "GIT_EXTERNAL_DIFF",
    "GIT_PAGER",
    "GIT_PROXY_COMMAND",
    "GIT_SEQUENCE_EDITOR",
    "GIT_TEMPLATE_DIR",
    "GTK_MODULES",
    "IFS",
    "JAVA_HOME",
    "LUA_CPATH",
    "LUA_INIT",
    "LUA_PATH",
    "NODE_PATH",
    "NODE_REPL_EXTERNAL_MODULE",
    "PAGER",
    "PATH",
    "PERL5DB",
    "PERL5LIB",
    "PERL5OPT",
    "PERLLIB",
    "PHPRC",
    "PHP_INI_SCAN_DIR",
    "PROMPT_COMMAND",
    "PS4",
    "PYTHONBREAKPOINT",
    "PYTHONEXECUTABLE",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONPLATLIBDIR",
    "PYTHONPYCACHEPREFIX",
    "PYTHONSTARTUP",
    "PYTHONUSERBASE",
    "PYTHONWARNINGS",
    "RUBYLIB",
    "RUBYOPT",
    "SHELL",
    "SHELLOPTS",
    "VISUAL",
];

/// Whether the value of the variable `name` decides what code a program runs: no pin covers such
/// code. It misses what only single programs read.
#[must_use]
pub fn decides_what_runs(name: &str) -> bool {
    let name = name.to_ascii_uppercase();
    NAMES.contains(&name.as_str())
        || BEGINNINGS.iter().any(|beginning| name.starts_with(beginning))
        || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::decides_what_runs;

    #[test]
    fn what_brings_code_is_known() {
        for (name, brings) in [
            ("LD_PRELOAD", true),
            ("LD_LIBRARY_PATH", true),
            ("DYLD_INSERT_LIBRARIES", true),
            ("NODE_OPTIONS", true),
            ("JAVA_TOOL_OPTIONS", true),
            ("_JAVA_OPTIONS", true),
            ("JAVA_OPTS", true),
            ("PYTHONPATH", true),
            ("PYTHONSTARTUP", true),
            ("PATH", true),
            ("Path", true),
            ("BASH_ENV", true),
            ("ENV", true),
            ("PERL5OPT", true),
            ("RUBYOPT", true),
            ("GIT_SSH_COMMAND", true),
            ("GIT_CONFIG_COUNT", true),
            ("npm_config_registry", true),
            ("PIP_INDEX_URL", true),
            ("PYTHONUNBUFFERED", false),
            ("PYTHONIOENCODING", false),
            ("NODE_ENV", false),
            ("GIT_AUTHOR_NAME", false),
            ("GITHUB_TOKEN", false),
            ("DATA_PATH", false),
            ("OPTIONS", false),
            ("LOG_LEVEL", false),
        ] {
            assert_eq!(decides_what_runs(name), brings, "{name}");
        }
    }
}

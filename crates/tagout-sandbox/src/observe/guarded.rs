//! What no proposal ever has, and what a program under observation does not see: other programs'
//! keys, and the ways to other programs.
use std::path::{Path, PathBuf};

/// Below somebody's home.
const AT_HOME: &[(&str, &str)] = &[
    (".ssh", KEYS),
    (".gnupg", KEYS),
    (".aws", KEYS),
    (".azure", KEYS),
    (".config/gcloud", KEYS),
    (".config/doctl", KEYS),
    (".config/hcloud", KEYS),
    (".config/op", KEYS),
    (".config/rclone", KEYS),
    (".config/sops", KEYS),
    (".config/age", KEYS),
    (".config/gh", KEYS),
    (".config/glab-cli", KEYS),
    (".kube", KEYS),
    (".docker", KEYS),
    (".config/containers/auth.json", KEYS),
    (".netrc", KEYS),
    (".npmrc", KEYS),
    (".pypirc", KEYS),
    (".pgpass", KEYS),
    (".my.cnf", KEYS),
    (".git-credentials", KEYS),
    (".config/git/credentials", KEYS),
    (".cargo/credentials", KEYS),
    (".cargo/credentials.toml", KEYS),
    (".gem/credentials", KEYS),
    (".terraform.d", KEYS),
    (".vault-token", KEYS),
    (".password-store", KEYS),
    (".local/share/keyrings", KEYS),
    (".local/share/kwalletd", KEYS),
    (".config/keepassxc", KEYS),
    (".mozilla", BROWSER),
    (".thunderbird", BROWSER),
    (".config/google-chrome", BROWSER),
    (".config/chromium", BROWSER),
    (".config/BraveSoftware", BROWSER),
    (".config/microsoft-edge", BROWSER),
    (".config/opera", BROWSER),
    (".config/vivaldi", BROWSER),
    (".config/Signal", BROWSER),
    (".config/Slack", BROWSER),
    (".config/tagout", OWN),
    (".local/share/tagout", OWN),
    (".local/state/tagout", OWN),
    (".cache/tagout", OWN),
    (".claude", ASSISTANT),
    (".claude.json", ASSISTANT),
    (".codex", ASSISTANT),
    (".cursor", ASSISTANT),
    (".gemini", ASSISTANT),
    (".bash_history", HISTORY),
    (".zsh_history", HISTORY),
    (".python_history", HISTORY),
    (".node_repl_history", HISTORY),
    (".psql_history", HISTORY),
];

/// Of the machine.
const OF_MACHINE: &[(&str, &str)] = &[
    ("/etc/shadow", KEYS),
    ("/etc/shadow-", KEYS),
    ("/etc/gshadow", KEYS),
    ("/etc/gshadow-", KEYS),
    ("/etc/sudoers", KEYS),
    ("/etc/sudoers.d", KEYS),
    ("/etc/ssh", KEYS),
    ("/etc/ssl/private", KEYS),
    ("/etc/pki/tls/private", KEYS),
    ("/etc/krb5.keytab", KEYS),
    ("/etc/kubernetes", KEYS),
    ("/etc/tagout", OWN),
    ("/var/lib/tagout", OWN),
    ("/boot", MACHINE),
    ("/var/lib/docker", MACHINE),
    ("/var/lib/containerd", MACHINE),
    ("/var/log", MACHINE),
    ("/run/docker.sock", OTHERS),
    ("/run/podman", OTHERS),
    ("/run/containerd", OTHERS),
    ("/run/dbus", OTHERS),
    ("/run/systemd", OTHERS),
    ("/run/user", OTHERS),
    ("/var/run", OTHERS),
];

const KEYS: &str = "it holds keys or passwords";
const BROWSER: &str = "it holds somebody's sessions";
const OWN: &str = "it is Tagout's own";
const ASSISTANT: &str = "it is an assistant's own";
const HISTORY: &str = "it is what somebody typed";
const MACHINE: &str = "it is about the whole machine";
const OTHERS: &str = "it is the way to other programs, which are not isolated";

/// Names of files that hold keys wherever they lie.
const NAMES: &[&str] = &[".env", "id_rsa", "id_ed25519", "id_ecdsa", "id_dsa", ".netrc"];

/// Whose keys are guarded.
#[derive(Clone, Debug)]
pub(super) struct Guarded {
    homes: Vec<PathBuf>,
}

impl Guarded {
    /// The homes that there are: `home`, root's, and all where homes usually are, so far as this
    /// process may look.
    pub(super) fn of(home: Option<&Path>) -> Self {
        let mut homes: Vec<PathBuf> = vec![PathBuf::from("/root")];
        homes.extend(home.map(Path::to_owned));
        let found = std::fs::read_dir("/home").into_iter().flatten().take(MOST_HOMES);
        homes.extend(found.filter_map(Result::ok).map(|entry| entry.path()));
        homes.sort();
        homes.dedup();
        Self { homes }
    }

    /// Everything that is guarded, whether or not it is there.
    pub(super) fn paths(&self) -> impl Iterator<Item = PathBuf> {
        let at_home = |home: &PathBuf| AT_HOME.iter().map(|(path, _)| home.join(path)).collect();
        let at_homes = self.homes.iter().flat_map::<Vec<PathBuf>, _>(at_home);
        at_homes.chain(OF_MACHINE.iter().map(|(path, _)| PathBuf::from(path)))
    }

    /// Why `path` is not proposed, where it is in what is guarded.
    pub(super) fn why(&self, path: &Path) -> Option<&'static str> {
        let of_machine = OF_MACHINE.iter().find(|(guarded, _)| path.starts_with(guarded));
        let at_home = self.homes.iter().filter_map(|home| path.strip_prefix(home).ok());
        let mut at_home = at_home.filter_map(|below| {
            AT_HOME.iter().find(|(guarded, _)| below.starts_with(guarded)).map(|(_, why)| *why)
        });
        let named = || {
            let name = path.file_name()?;
            NAMES.iter().any(|guarded| name == *guarded).then_some(KEYS)
        };
        of_machine.map(|(_, why)| *why).or_else(|| at_home.next()).or_else(named)
    }

    /// Whether something that is guarded lies below `folder`.
    pub(super) fn is_below(&self, folder: &Path) -> bool {
        self.paths().any(|guarded| guarded.starts_with(folder))
    }

    pub(super) fn homes(&self) -> impl Iterator<Item = &PathBuf> {
        self.homes.iter()
    }

    pub(super) fn is_home(&self, folder: &Path) -> bool {
        self.homes.iter().any(|home| home == folder)
    }
}

/// More are not looked at.
const MOST_HOMES: usize = 100;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_known_wherever_homes_are() {
        let guarded = Guarded::of(Some(Path::new("/srv/ann")));
        for (path, is_guarded) in [
            ("/srv/ann/.ssh/id_rsa", true),
            ("/srv/ann/.ssh", true),
            ("/srv/ann/.sshfs/x", false),
            ("/srv/ann/.config/google-chrome/Default/Cookies", true),
            ("/srv/ann/.config/tagout/tagout.toml", true),
            ("/srv/ann/.config/editor", false),
            ("/srv/ann/project/.env", true),
            ("/srv/ann/project/.envrc", false),
            ("/srv/ann/project/keys/id_ed25519", true),
            ("/root", false),
            ("/etc/shadow", true),
            ("/etc/ssl/private/key.pem", true),
            ("/etc/ssl/certs/ca.pem", false),
            ("/var/run/docker.sock", true),
            ("/run/user/1000/bus", true),
        ] {
            assert_eq!(guarded.why(Path::new(path)).is_some(), is_guarded, "{path}");
        }
        assert!(guarded.is_below(Path::new("/srv/ann")) && guarded.is_home(Path::new("/srv/ann")));
        assert!(!guarded.is_below(Path::new("/srv/ann/project")));
    }
}

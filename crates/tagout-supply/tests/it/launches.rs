//! Which commands fetch what, and whether they say exactly what.
use tagout_supply::{Ecosystem, Launch, Package, Unfit, launch};

fn words(line: &str) -> Vec<String> {
    line.split(' ').map(str::to_owned).collect()
}

fn package(line: &str) -> Package {
    match launch(&words(line)) {
        Ok(Launch::Package(package)) => package,
        other => panic!("{line}: {other:?}"),
    }
}

/// What is made of `line` with the version 9.8.7; nothing where it is refused for another reason.
fn pinned(line: &str) -> Option<String> {
    match launch(&words(line)) {
        Err(Unfit::Unpinned(unpinned)) => Some(unpinned.with_version("9.8.7").join(" ")),
        Err(_) => None,
        other => panic!("{line}: {other:?}"),
    }
}

#[test]
fn what_runs_what_is_there_is_local() {
    for line in [
        "/usr/bin/server --package x",
        "node /srv/index.js npx",
        "python3 -m mcp_server",
        "python3 server.py uvx thing",
        "npm start",
        "npm run serve",
        "npm --prefix /srv start",
        "yarn start",
        "bun run server.ts",
        "bun server.ts",
        "pnpm start",
        "uv run server.py",
        "uv run --directory /srv --frozen server.py",
        "uv --directory /srv run server.py",
        "npx ./here",
        "npx -y /srv/here",
        "uvx ./here",
        "sh -c /srv/start",
        "env A=b /srv/start",
        "deno run server.ts",
        "deno run -A --allow-net=example.com server.ts npm:x",
        "deno server.ts",
        "deno task start",
        "npm test",
        "npm-cli.js run serve",
        "npx-cli.js ./here",
        "yarn run serve",
        "yarn exec server",
        "pnpm exec server x",
        "pnpm --dir /srv run serve",
        "bun --cwd /srv run serve",
        "uv run server",
        "uv run python -m mcp_server",
        "uv run -m mcp_server --port 1",
        "uv run server.py uvx thing",
        "node --env-file .env --no-warnings /srv/index.js npx",
        "node --enable-source-maps --max-old-space-size=99 index.js",
        "node -e require('/srv/index.js')",
        "python3 -IBu -W ignore -X utf8 server.py pip",
        "python3 -Im mcp_server",
        "/usr/bin/server --manager=npm",
        "tini -- /usr/bin/server",
        "op run -- /usr/bin/server /",
        "piper",
    ] {
        assert_eq!(launch(&words(line)), Ok(Launch::Local), "{line}");
    }
}

#[test]
fn what_names_exactly_one_version_is_a_package() {
    for (line, name, version, program, args) in [
        ("npx -y @a/b@1.2.3 /data", "@a/b", "1.2.3", None, "/data"),
        ("npx b@1.2.3-beta.1+5 -y", "b", "1.2.3-beta.1+5", None, "-y"),
        ("/usr/bin/npx --yes -- b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("npx --package=b@1.2.3 tool x", "b", "1.2.3", Some("tool"), "x"),
        ("npx -p b@1.2.3 tool x", "b", "1.2.3", Some("tool"), "x"),
        ("npm exec --yes b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("npm --yes x b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("bunx b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("bun x b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("pnpm dlx b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("yarn dlx -q b@1.2.3 x", "b", "1.2.3", None, "x"),
        ("npx.cmd b@1.2.3 x", "b", "1.2.3", None, "x"),
    ] {
        let found = package(line);
        assert_eq!(found.ecosystem, Ecosystem::Npm, "{line}");
        assert_eq!((found.name.as_str(), found.version.as_str()), (name, version), "{line}");
        assert_eq!(found.program.as_deref(), program, "{line}");
        assert_eq!(found.args.join(" "), args, "{line}");
    }
    for (line, name, version, program) in [
        ("uvx mcp-server-git==2026.10.19 --repository x", "mcp-server-git", "2026.10.19", None),
        ("uvx mcp-server-git@1.2 --repository x", "mcp-server-git", "1.2", None),
        ("uvx --from mcp_server.git==1.0rc1 git x", "mcp_server.git", "1.0rc1", Some("git")),
        ("uv tool run --python 3.12 a==1!2.post1 x", "a", "1!2.post1", None),
        ("uvx --with b==2 --from=a[cli]==1 tool", "a", "1", Some("tool")),
        ("pipx run --spec a==1 tool", "a", "1", Some("tool")),
        ("pipx run a==1 tool", "a", "1", None),
    ] {
        let found = package(line);
        assert_eq!(found.ecosystem, Ecosystem::Python, "{line}");
        assert_eq!((found.name.as_str(), found.version.as_str()), (name, version), "{line}");
        assert_eq!(found.program.as_deref(), program, "{line}");
    }
    let found = package("uvx --with b==2 --from=a[cli,x]==1 tool");
    assert_eq!(found.extras, ["cli", "x"]);
    assert_eq!(found.with, [("b".to_owned(), "2".to_owned())]);
}

#[test]
fn what_names_no_version_is_refused_with_the_line_that_does() {
    for (line, better) in [
        ("npx -y @a/b /data", "npx -y @a/b@9.8.7 /data"),
        ("npx @a/b@latest", "npx @a/b@9.8.7"),
        ("npx b@^1.2.3 x", "npx b@9.8.7 x"),
        ("npx b@1.2", "npx b@9.8.7"),
        ("npx b@v1.2.3", "npx b@9.8.7"),
        ("npx b@1.2.x", "npx b@9.8.7"),
        ("npx b@*", "npx b@9.8.7"),
        ("npx --package=b tool x", "npx --package=b@9.8.7 tool x"),
        ("npx -p b tool x", "npx -p b@9.8.7 tool x"),
        ("npm exec -- b x", "npm exec -- b@9.8.7 x"),
        ("bunx b", "bunx b@9.8.7"),
        ("pnpm dlx b", "pnpm dlx b@9.8.7"),
        ("yarn dlx b", "yarn dlx b@9.8.7"),
        ("uvx b --x", "uvx b==9.8.7 --x"),
        ("uvx b@latest", "uvx b==9.8.7"),
        ("uvx b>=1", "uvx b==9.8.7"),
        ("uvx b==1.*", "uvx b==9.8.7"),
        ("uvx --from b[x] tool", "uvx --from b[x]==9.8.7 tool"),
        ("uvx --with c --from b==1 tool", "uvx --with c==9.8.7 --from b==1 tool"),
        ("uv tool run b", "uv tool run b==9.8.7"),
        ("uvx --with b --from ./p t", "uvx --with b==9.8.7 --from ./p t"),
        ("uvx --with b ./p", "uvx --with b==9.8.7 ./p"),
        ("npm -- exec b", "npm -- exec b@9.8.7"),
        ("npx-cli.js -y b", "npx-cli.js -y b@9.8.7"),
        ("/opt/pnpm.cjs dlx b", "/opt/pnpm.cjs dlx b@9.8.7"),
        ("yarnpkg dlx b", "yarnpkg dlx b@9.8.7"),
        ("NPX b", "NPX b@9.8.7"),
        ("pipx run b", "pipx run b==9.8.7"),
    ] {
        assert_eq!(pinned(line).as_deref(), Some(better), "{line}");
    }
}

#[test]
fn what_no_version_holds_fast_is_refused() {
    for line in [
        "npx github:a/b",
        "npx a/b",
        "npx git+ssh://example.com/a.git",
        "npx https://example.com/a.tgz",
        "npx b@npm:c@1.2.3",
        "npx b@https://example.com/a.tgz",
        "npx b@file:../x",
        "uvx --from git+https://example.com/a b",
        "uvx --from https://example.com/a.whl b",
        "pipx run --spec git+https://example.com/a b",
        "uv run https://example.com/x.py",
        "uv run --frozen -- https://example.com/x.py",
    ] {
        let refused = launch(&words(line));
        assert!(matches!(refused, Err(Unfit::Elsewhere { .. })), "{line}: {refused:?}");
        assert_eq!(refused.unwrap_err().code(), "supply-unpinned");
    }
}

const NOT_UNDERSTOOD: &[&str] = &[
    "npx",
    "npx -y",
    "npx -c b@1.2.3",
    "npx --call=x",
    "npx --registry https://example.com b@1.2.3",
    "npx --registry=https://example.com b@1.2.3",
    "npx -p b@1.2.3 -p c@1.2.3 b",
    "npx --package",
    "npm --registry=x exec b@1.2.3",
    "npm init thing",
    "npm create thing",
    "bun create thing",
    "pnpm --dir x dlx b@1.2.3",
    "uvx --index https://example.com b==1",
    "uvx --index-url=https://example.com b==1",
    "uvx --with-requirements x b==1",
    "uv tool install b",
    "uv run --with b server.py",
    "pip install b",
    "pip3.12 download b",
    "uv pip install b",
    "python3 -m pip install b",
    "python3 -mpip install b",
    "python3 -I -m uv tool run b==1",
    "python3 -W ignore -m pip install b",
    "python3 -m pipx run b",
    "sh -c npx b@1.2.3",
    "bash -lc exec npx -y b",
    "env npx b@1.2.3",
    "env A=b /usr/bin/uvx b==1",
    "cmd /c npx b@1.2.3",
    "sudo npx b@1.2.3",
    "node /usr/lib/node_modules/npm/bin/npx-cli.js b@1.2.3",
    "deno run npm:b",
    "deno run -A https://example.com/x.ts",
    "corepack pnpm dlx b",
    "pipx install b",
    "pipx --global run b",
    "pipx -- run b",
    "uv run npx -y b",
    "uv run -- npx -y b@1.2.3",
    "uv run -m pip install b",
    "uv run python -m pip install b",
    "uv run server npx",
    "uv add b",
    "uvx --with b==1 --from ./p t",
    "uvx --with b==1 ./p",
    "deno serve npm:b",
    "deno x npm:b",
    "deno x b",
    "deno install b",
    "deno run -c deno.json npm:b",
    "deno run --config=deno.json jsr:@a/b",
    "deno run --unknown x server.ts",
    "deno https://example.com/x.ts",
    "deno eval import('npm:b')",
    "node --env-file .env /usr/lib/node_modules/npm/bin/npx-cli.js -y b",
    "node --unknown .env /usr/lib/node_modules/npm/bin/npx-cli.js -y b",
    "node /usr/lib/node_modules/npm/bin/npx-cli -y b",
    "node /usr/lib/node_modules/npm -y b",
    "node /usr/lib/node_modules/npm/lib/cli.js exec b",
    "node -r /usr/lib/node_modules/npm/bin/npx-cli.js x.js",
    "node --import=/usr/lib/node_modules/npm/bin/npx-cli.js x.js",
    "node -e require('child_process').execSync('npx b')",
    "node /opt/pnpm.cjs dlx b",
    "node /opt/yarn.js dlx b",
    "python3 -Im pip install b",
    "python3 -IWignore -m pip install b",
    "python3 -m runpy pip",
    "python3 -c os.system('npx')",
    "python3 /usr/lib/python3/dist-packages/pip install b",
    "python3 --unknown x server.py",
    "pnpm exec npx b",
    "pnpm exec -- npx b@1.2.3",
    "pnpm npx b",
    "yarn exec npx b",
    "yarn run npx b",
    "yarn add b",
    "bun run npx b",
    "bun install b",
    "npm exe b",
    "npm install b",
    "npm --unknown value start",
    "NPX.EXE -c b",
    "op run -- npx -y b",
    "mise exec node@22 -- npx -y b",
    "mise exec npm:b -- b",
    "tini -- npx -y b@1.2.3",
    "tini -- /usr/bin/npx -y b",
    "su -c 'npx b'",
];

#[test]
fn what_is_not_understood_is_refused() {
    for line in NOT_UNDERSTOOD {
        let refused = launch(&words(line));
        let expected = matches!(
            refused,
            Err(Unfit::NotUnderstood { .. } | Unfit::Behind { .. } | Unfit::Installs { .. })
        );
        assert!(expected, "{line}: {refused:?}");
        assert_eq!(refused.unwrap_err().code(), "supply-launcher");
    }
}

#[test]
fn a_launcher_is_known_by_where_its_name_leads() {
    let folder = tempfile::tempdir().unwrap();
    let modules = folder.path().join("lib/node_modules");
    let bin = folder.path().join("bin");
    std::fs::create_dir_all(modules.join("npm/bin")).unwrap();
    std::fs::create_dir_all(modules.join("corepack/dist")).unwrap();
    std::fs::create_dir_all(&bin).unwrap();
    for (file, link) in [
        ("npm/bin/npm-cli.js", "npm"),
        ("npm/bin/npx-cli.js", "npx"),
        ("npm/bin/npx-cli.js", "innocent"),
        ("npm/bin/npx-cli.js", "innocent.js"),
        ("corepack/dist/pnpm.js", "pnpm"),
    ] {
        std::fs::write(modules.join(file), "#!/usr/bin/env node\n").unwrap();
        std::os::unix::fs::symlink(modules.join(file), bin.join(link)).unwrap();
    }
    let started = |line: &str| {
        let program = line.split(' ').next().unwrap();
        tagout_supply::starts(&words(line), &bin.join(program)).map_err(|unfit| unfit.code())
    };
    for line in ["npm start", "npm run x", "npx ./server", "innocent ./server"] {
        assert_eq!(started(line), Ok(()), "{line}");
    }
    assert_eq!(started("npm exec b@1.2.3"), Err("supply-not-installed"));
    assert_eq!(started("innocent b@1.2.3"), Err("supply-not-installed"));
    assert_eq!(started("innocent b"), Err("supply-unpinned"));
    assert_eq!(started("pnpm start"), Err("supply-launcher"));
    let script = format!("node {}", bin.join("innocent.js").display());
    assert_eq!(started(&script), Err("supply-launcher"));
}

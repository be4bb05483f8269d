//! Man pages, completions, help: each command has them.

mod common;

use common::{memoman, run};

#[test]
fn every_command_has_a_page_and_an_example() {
    let folder = tempfile::tempdir().unwrap();
    let output = run(memoman().arg("generate").arg(folder.path()));
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let help = run(memoman().arg("--help"));
    let help = String::from_utf8_lossy(&help.stdout).into_owned();
    let commands: Vec<&str> = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(commands.contains(&"record") && !commands.contains(&"generate"));
    for command in commands {
        let page = folder.path().join(format!("man/man1/memoman-{command}.1"));
        let text = std::fs::read_to_string(&page).unwrap();
        assert!(text.contains("Example"), "{command}");
        let help = run(memoman().args([command, "--help"]));
        assert!(
            String::from_utf8_lossy(&help.stdout).contains("Example"),
            "{command}"
        );
        let misuse = run(memoman().args([command, "--no-such-option"]));
        assert_eq!(misuse.status.code(), Some(2), "{command}");
    }
    for file in [
        "man/man1/memoman.1",
        "bash-completion/completions/memoman",
        "zsh/site-functions/_memoman",
        "fish/vendor_completions.d/memoman.fish",
    ] {
        let text = std::fs::read_to_string(folder.path().join(file)).unwrap();
        assert!(text.contains("record"), "{file}");
    }
}

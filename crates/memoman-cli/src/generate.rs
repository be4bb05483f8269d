//! `memoman generate`: man pages and shell completions, for packages.

use std::path::{Path, PathBuf};

use clap::CommandFactory;
use clap_complete::Shell;

use crate::cli::Cli;
use crate::error::Error;

/// Writes man pages and shell completions into a share folder.
#[derive(clap::Args)]
#[command(after_help = "Example: memoman generate /usr/local/share")]
pub(crate) struct Args {
    /// The folder: it gets man/man1 and a folder for each shell.
    share: PathBuf,
}

/// Runs the command.
pub(crate) fn run(args: &Args) -> Result<(), Error> {
    let mut command = Cli::command();
    command.build();
    let folder = |name: &str| {
        let path = args.share.join(name);
        std::fs::create_dir_all(&path)
            .map(|()| path)
            .map_err(|error| {
                Error::failed(format_args!(
                    "cannot write {}: {error}",
                    args.share.display()
                ))
            })
    };
    let pages = folder("man/man1")?;
    write(&pages.join("memoman.1"), &page(&command)?)?;
    for one in command.get_subcommands().filter(|one| !one.is_hide_set()) {
        if one.get_name() == "help" {
            continue;
        }
        let name = format!("memoman-{}", one.get_name());
        // The page's name is the command's.
        let named = one.clone().name(leaked(&name));
        write(&pages.join(format!("{name}.1")), &page(&named)?)?;
    }
    for (shell, place, file) in [
        (Shell::Bash, "bash-completion/completions", "memoman"),
        (Shell::Zsh, "zsh/site-functions", "_memoman"),
        (Shell::Fish, "fish/vendor_completions.d", "memoman.fish"),
    ] {
        let mut text = Vec::new();
        clap_complete::generate(shell, &mut command, "memoman", &mut text);
        write(&folder(place)?.join(file), &text)?;
    }
    Ok(())
}

/// clap keeps names for the whole run: a dozen of them.
fn leaked(name: &str) -> &'static str {
    Box::leak(name.to_owned().into_boxed_str())
}

fn page(command: &clap::Command) -> Result<Vec<u8>, Error> {
    let mut text = Vec::new();
    clap_mangen::Man::new(command.clone())
        .render(&mut text)
        .map_err(Error::failed)?;
    Ok(text)
}

fn write(path: &Path, bytes: &[u8]) -> Result<(), Error> {
    std::fs::write(path, bytes)
        .map_err(|error| Error::failed(format_args!("cannot write {}: {error}", path.display())))
}

use std::os::unix::fs::symlink;

use tempfile::TempDir;

use super::*;

/// Two numbers in two files, which must be the same.
fn parse(files: &[File]) -> Result<u32, FileError> {
    let number = |file: &File| {
        let text = std::str::from_utf8(&file.bytes).unwrap();
        text.trim().parse::<u32>().map_err(|error| FileError::content(file, &error))
    };
    let (left, right) = (number(&files[0])?, number(&files[1])?);
    if left == right { Ok(left) } else { Err(FileError::content(&files[1], &"no pair")) }
}

/// A folder `now` with two files, which links to a folder of its own as Kubernetes' volumes do.
struct Volume(TempDir);

impl Volume {
    fn new(text: &str) -> Self {
        let volume = Self(TempDir::new().unwrap());
        volume.swap("first", text);
        volume
    }

    fn paths(&self) -> Vec<PathBuf> {
        ["left", "right"].map(|name| self.0.path().join("now").join(name)).into()
    }

    fn swap(&self, name: &str, text: &str) {
        let at = |name: &str| self.0.path().join(name);
        fs::create_dir(at(name)).unwrap();
        for file in ["left", "right"] {
            fs::write(at(name).join(file), text).unwrap();
        }
        symlink(name, at("link")).unwrap();
        fs::rename(at("link"), at("now")).unwrap();
    }

    fn write(&self, left: &str, right: &str) {
        for (path, text) in self.paths().iter().zip([left, right]) {
            fs::write(path, text).unwrap();
        }
    }
}

/// Looks only when told.
fn reloads() -> Reloads {
    Reloads::new(Duration::from_hours(1))
}

type Parse = fn(&[File]) -> Result<u32, FileError>;

fn followed(volume: &Volume) -> Followed<Parse> {
    let paths = volume.paths().into();
    Followed {
        what: "numbers",
        paths,
        parse,
        outcomes: Family::default(),
        used: None,
        complained: None,
    }
}

async fn next(reloads: &Reloads, live: &mut Live<u32>) -> u32 {
    reloads.now();
    live.changed().await;
    *live.current()
}

#[tokio::test]
async fn a_change_is_seen_in_place_and_behind_a_link() {
    let (volume, reloads) = (Volume::new("1"), reloads());
    let mut live = reloads.follow("numbers", volume.paths(), parse).await.unwrap();
    assert_eq!(*live.current(), 1);
    volume.write("2", "2\n");
    assert_eq!(next(&reloads, &mut live).await, 2);
    volume.swap("second", "3");
    assert_eq!(next(&reloads, &mut live).await, 3);
}

#[tokio::test]
async fn the_interval_is_enough() {
    let volume = Volume::new("1");
    let reloads = Reloads::new(Duration::from_millis(1));
    let mut live = reloads.follow("numbers", volume.paths(), parse).await.unwrap();
    volume.swap("second", "2");
    live.changed().await;
    assert_eq!(*live.current(), 2);
}

#[tokio::test]
async fn what_is_bad_changes_nothing_until_it_is_good_again() {
    let (volume, reloads) = (Volume::new("1"), reloads());
    let live = reloads.follow("numbers", volume.paths(), parse).await.unwrap();
    let mut followed = followed(&volume);
    assert_eq!(followed.look().await, Some(1));
    for (left, right) in [("2", "1"), ("x", "x"), ("", "")] {
        volume.write(left, right);
        assert_eq!(followed.look().await, None, "{left} {right}");
    }
    fs::remove_file(&volume.paths()[0]).unwrap();
    assert_eq!(followed.look().await, None);
    assert_eq!(*live.current(), 1);
    volume.write("2", "2");
    assert_eq!(followed.look().await, Some(2));
    // The same again is no news.
    assert_eq!(followed.look().await, None);
}

#[tokio::test]
async fn what_comes_back_unchanged_is_no_news() {
    let volume = Volume::new("1");
    let mut followed = followed(&volume);
    assert_eq!(followed.look().await, Some(1));
    for _ in 0..3 {
        fs::remove_file(&volume.paths()[0]).unwrap();
        assert_eq!(followed.look().await, None);
        volume.write("1", "1");
        assert_eq!(followed.look().await, None);
        volume.write("2", "1");
        assert_eq!(followed.look().await, None);
        volume.write("1", "1");
        assert_eq!(followed.look().await, None);
    }
}

#[tokio::test]
async fn bad_files_at_the_start_are_errors_that_name_them() {
    let (volume, reloads) = (Volume::new("x"), reloads());
    let follow = async |paths| reloads.follow("numbers", paths, parse).await.map(|_| ());
    let error = follow(volume.paths()).await.unwrap_err().to_string();
    assert!(error.ends_with("left: invalid digit found in string"), "{error}");
    volume.write(&"1".repeat((1 << 20) + 1), "1");
    let error = follow(volume.paths()).await.unwrap_err();
    assert!(matches!(error, FileError::TooLarge { .. }), "{error}");
    // Of a pipe nobody writes to, or a folder, nothing would ever come.
    for odd in ["/dev/zero", "/tmp"] {
        let error = follow(vec![odd.into()]).await.unwrap_err();
        assert_eq!(error.to_string(), format!("{odd} is no regular file"));
    }
    let error = follow(vec!["/no/such/file".into()]).await.unwrap_err();
    assert_eq!(error.to_string(), "can't read /no/such/file");
}

#[tokio::test]
async fn nobody_follows_for_nobody() {
    let (volume, reloads) = (Volume::new("1"), reloads());
    let live = reloads.follow("numbers", volume.paths(), parse).await.unwrap();
    assert_eq!(reloads.now.receiver_count(), 1);
    drop(live);
    while reloads.now.receiver_count() > 0 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_constant_never_changes() {
    let mut live = Live::constant(1);
    assert!(futures_util::FutureExt::now_or_never(live.changed()).is_none());
    assert_eq!(*live.current(), 1);
}

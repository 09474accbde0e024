//! Object 5 on the device: the firmware update state machine (LwM2M Core 1.1, E.6).
//!
//! ```text
//!           Package URI                    accepted               Update
//!   Idle ---------------> Fetching --+--> Checking --> Downloaded -----> Updating
//!    ^  \------------ Package -------/       |             |                |
//!    |                                       |             |                |
//!    +---- failure, reset or Cancel ---------+-------------+-- done/failed -+
//! ```
//!
//! Fetching and Checking are both reported as Downloading. The machine holds no image: the bytes
//! go to the owner once, to be judged and kept there, so that a process with thousands of devices
//! stores no image thousands of times.

use bytes::Bytes;
use thiserror::Error;

use super::uri::{CoapUri, UriError};
use crate::firmware::{Delivery, State, UpdateResult};

/// Object 5, instance 0, of one device.
///
/// Every call may leave an effect behind; drain [`poll_effect`](Self::poll_effect) after each.
#[derive(Clone, Debug)]
pub struct FirmwareObject {
    stage: Stage,
    result: UpdateResult,
    delivery: Delivery,
    image: u32,
    image_bytes_max: usize,
    uri: Box<str>,
    name: Box<str>,
    version: Box<str>,
    effect: Option<FirmwareEffect>,
}

/// Number of an image within one [`FirmwareObject`]; a verdict on an older image is ignored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct ImageId(u32);

/// What the state machine wants done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FirmwareEffect {
    /// Fetch this URI, giving up on a fetch that is still running.
    StartDownload(CoapUri),
    /// Give up the fetch that is running; its outcome is no longer wanted.
    StopDownload,
    /// Judge this image, then call `accept` or `reject`.
    CheckImage {
        /// The number to give back with the verdict.
        id: ImageId,
        /// The whole image.
        image: Bytes,
    },
    /// Install the image accepted last, then call `install_succeeded` or `install_failed`.
    Install,
}

/// Why the server's request is refused; its fault.
#[derive(Clone, Copy, Debug, Error, PartialEq, Eq)]
pub enum FirmwareRefusal {
    /// The state, or the delivery method of this device, does not allow the request: 4.05.
    #[error("not allowed in this state or with this delivery method; read /5/0/3 and /5/0/9")]
    NotAllowed,
    /// The value cannot be used: 4.00, with the reason in Update Result.
    #[error("the value cannot be used; the reason is in /5/0/5")]
    BadRequest,
}

/// Where the update stands, in protocol order; what only one stage needs lives in that stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Idle,
    Fetching,
    Checking(ImageId),
    Downloaded,
    Updating,
}

impl FirmwareObject {
    /// Creates an idle object for a device that runs `version` of the package `name`.
    ///
    /// Images above `image_bytes_max` end with result 2 (not enough flash) when they are pulled,
    /// and are refused with 4.13 when they are pushed.
    #[must_use]
    pub fn new(name: &str, version: &str, delivery: Delivery, image_bytes_max: usize) -> Self {
        Self {
            stage: Stage::Idle,
            result: UpdateResult::Initial,
            delivery,
            image: 0,
            image_bytes_max,
            uri: "".into(),
            name: name.into(),
            version: version.into(),
            effect: None,
        }
    }

    /// Turns a new object into the one of a device that has just restarted after an update.
    ///
    /// The restart is the end of state Updating: the state is Idle and the result tells how it
    /// went (LwM2M Core 1.1, E.6, State).
    #[must_use]
    pub fn resume(mut self, result: UpdateResult, version: &str) -> Self {
        self.result = result;
        self.version = version.into();
        self
    }

    /// Returns the value of resource State.
    #[must_use]
    pub fn state(&self) -> State {
        match self.stage {
            Stage::Idle => State::Idle,
            Stage::Fetching | Stage::Checking(_) => State::Downloading,
            Stage::Downloaded => State::Downloaded,
            Stage::Updating => State::Updating,
        }
    }

    /// Returns the value of resource Update Result.
    #[must_use]
    pub fn result(&self) -> UpdateResult {
        self.result
    }

    /// Returns the value of resource Firmware Update Delivery Method.
    #[must_use]
    pub fn delivery(&self) -> Delivery {
        self.delivery
    }

    /// Returns the value of resource PkgName.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the value of resource PkgVersion.
    #[must_use]
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the value of resource Package URI.
    #[must_use]
    pub fn uri(&self) -> &str {
        &self.uri
    }

    /// Returns the largest image this device has room for, in bytes.
    #[must_use]
    pub fn image_bytes_max(&self) -> usize {
        self.image_bytes_max
    }

    /// Hands out what is to be done next, if anything.
    pub fn poll_effect(&mut self) -> Option<FirmwareEffect> {
        self.effect.take()
    }

    /// Handles a Write of Package URI: starts a pull, or resets the object when it is empty.
    pub fn write_uri(&mut self, uri: &str) -> Result<(), FirmwareRefusal> {
        if self.stage == Stage::Updating {
            return Err(FirmwareRefusal::NotAllowed);
        }
        if uri.is_empty() {
            self.reset(UpdateResult::Initial);
            return Ok(());
        }
        if self.state() == State::Downloading || !self.delivery.allows_pull() {
            return Err(FirmwareRefusal::NotAllowed);
        }
        match CoapUri::parse(uri) {
            Ok(parsed) => {
                self.stage = Stage::Fetching;
                self.result = UpdateResult::Initial;
                self.uri = uri.into();
                self.effect = Some(FirmwareEffect::StartDownload(parsed));
                Ok(())
            }
            Err(error) => {
                self.reset(match error {
                    UriError::UnsupportedProtocol => UpdateResult::UnsupportedProtocol,
                    UriError::Invalid | UriError::HostName => UpdateResult::InvalidUri,
                });
                Err(FirmwareRefusal::BadRequest)
            }
        }
    }

    /// Handles a Write of Package: takes a pushed image, or resets the object when it is empty or
    /// a single NUL.
    pub fn write_package(&mut self, package: Bytes) -> Result<(), FirmwareRefusal> {
        if self.stage == Stage::Updating {
            return Err(FirmwareRefusal::NotAllowed);
        }
        if package.is_empty() || package[..] == [0] {
            self.reset(UpdateResult::Initial);
            return Ok(());
        }
        if self.state() == State::Downloading || !self.delivery.allows_push() {
            return Err(FirmwareRefusal::NotAllowed);
        }
        self.uri = "".into();
        if package.len() > self.image_bytes_max {
            self.reset(UpdateResult::NotEnoughFlash);
            return Err(FirmwareRefusal::BadRequest);
        }
        self.result = UpdateResult::Initial;
        self.check(package);
        Ok(())
    }

    /// Handles an Execute of Update; only a downloaded image can be installed.
    pub fn execute_update(&mut self) -> Result<(), FirmwareRefusal> {
        if self.stage != Stage::Downloaded {
            return Err(FirmwareRefusal::NotAllowed);
        }
        self.stage = Stage::Updating;
        self.result = UpdateResult::Initial;
        self.effect = Some(FirmwareEffect::Install);
        Ok(())
    }

    /// Handles an Execute of Cancel: gives up a download or drops a downloaded image, result 10.
    pub fn execute_cancel(&mut self) -> Result<(), FirmwareRefusal> {
        match self.stage {
            Stage::Fetching | Stage::Checking(_) | Stage::Downloaded => {
                self.reset(UpdateResult::Cancelled);
                Ok(())
            }
            Stage::Idle | Stage::Updating => Err(FirmwareRefusal::NotAllowed),
        }
    }

    /// Reports that the fetch is complete; tells whether the image was still wanted.
    pub fn download_complete(&mut self, image: Bytes) -> bool {
        if self.stage != Stage::Fetching {
            return false;
        }
        if image.len() > self.image_bytes_max {
            self.reset(UpdateResult::NotEnoughFlash);
        } else {
            self.check(image);
        }
        true
    }

    /// Reports that the fetch failed; tells whether it was still wanted.
    pub fn download_failed(&mut self, result: UpdateResult) -> bool {
        let wanted = self.stage == Stage::Fetching;
        if wanted {
            self.stage = Stage::Idle;
            self.result = result;
        }
        wanted
    }

    /// Accepts the image: it may now be installed. Tells whether the verdict was awaited.
    pub fn accept(&mut self, id: ImageId) -> bool {
        let awaited = self.stage == Stage::Checking(id);
        if awaited {
            self.stage = Stage::Downloaded;
        }
        awaited
    }

    /// Refuses the image, for instance as
    /// [`IntegrityFailure`](UpdateResult::IntegrityFailure). Tells whether the verdict was awaited.
    pub fn reject(&mut self, id: ImageId, result: UpdateResult) -> bool {
        let awaited = self.stage == Stage::Checking(id);
        if awaited {
            self.reset(result);
        }
        awaited
    }

    /// Reports that the device now runs `version`, when it needs no new [`FirmwareObject`] after
    /// its restart. Tells whether an installation was running.
    pub fn install_succeeded(&mut self, version: &str) -> bool {
        let running = self.stage == Stage::Updating;
        if running {
            self.version = version.into();
            self.reset(UpdateResult::Success);
        }
        running
    }

    /// Reports that the installation failed or was put off.
    ///
    /// With `image_kept` the state returns to Downloaded and the server may execute Update again;
    /// otherwise it returns to Idle. Devices of both kinds exist, so a simulated one chooses.
    /// Tells whether an installation was running.
    pub fn install_failed(&mut self, result: UpdateResult, image_kept: bool) -> bool {
        let running = self.stage == Stage::Updating;
        if running {
            self.stage = if image_kept { Stage::Downloaded } else { Stage::Idle };
            self.result = result;
        }
        running
    }

    fn check(&mut self, image: Bytes) {
        self.image = self.image.wrapping_add(1);
        let id = ImageId(self.image);
        self.stage = Stage::Checking(id);
        self.effect = Some(FirmwareEffect::CheckImage { id, image });
    }

    fn reset(&mut self, result: UpdateResult) {
        if self.stage == Stage::Fetching {
            self.effect = Some(FirmwareEffect::StopDownload);
        }
        self.stage = Stage::Idle;
        self.result = result;
        self.uri = "".into();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const URI: &str = "coap://10.0.0.1/fw";

    fn object(delivery: Delivery) -> FirmwareObject {
        FirmwareObject::new("app", "1.0", delivery, 100)
    }

    /// Runs a script and returns the state, the result and the refusals on the way.
    fn run(delivery: Delivery, script: &str) -> String {
        let mut object = object(delivery);
        let mut refused = String::new();
        let mut id = ImageId(0);
        for step in script.split_whitespace() {
            let outcome = match step {
                "uri" => object.write_uri(URI),
                "ftp" => object.write_uri("ftp://10.0.0.1/fw"),
                "junk" => object.write_uri("junk"),
                "name" => object.write_uri("coap://updates.example/fw"),
                "none" => object.write_uri(""),
                "image" => object.write_package(Bytes::from_static(b"image")),
                "large" => object.write_package(vec![1; 101].into()),
                "nul" => object.write_package(Bytes::from_static(b"\0")),
                "empty" => object.write_package(Bytes::new()),
                "update" => object.execute_update(),
                "cancel" => object.execute_cancel(),
                "fetched" => flag(object.download_complete(Bytes::from_static(b"image"))),
                "fetched-large" => flag(object.download_complete(vec![1; 101].into())),
                "lost" => flag(object.download_failed(UpdateResult::ConnectionLost)),
                "accept" => flag(object.accept(id)),
                "accept-old" => flag(object.accept(ImageId(id.0.wrapping_sub(1)))),
                "corrupt" => flag(object.reject(id, UpdateResult::IntegrityFailure)),
                "done" => flag(object.install_succeeded("2.0")),
                "fail" => flag(object.install_failed(UpdateResult::UpdateFailed, false)),
                "defer" => flag(object.install_failed(UpdateResult::Deferred, true)),
                other => panic!("unknown step {other}"),
            };
            match outcome {
                Ok(()) => {}
                Err(FirmwareRefusal::NotAllowed) => refused.push_str(" 4.05"),
                Err(FirmwareRefusal::BadRequest) => refused.push_str(" 4.00"),
            }
            if let Some(FirmwareEffect::CheckImage { id: next, .. }) = object.poll_effect() {
                id = next;
            }
        }
        format!("{},{}{refused}", object.state() as u8, object.result() as u8)
    }

    fn flag(awaited: bool) -> Result<(), FirmwareRefusal> {
        if awaited { Ok(()) } else { Err(FirmwareRefusal::NotAllowed) }
    }

    /// LwM2M Core 1.1, E.6: states and results of the firmware update object.
    #[test]
    fn states_and_results_follow_the_specification() {
        let check = |script: &str, expected: &str| {
            assert_eq!(run(Delivery::Both, script), expected, "{script}");
        };
        check("", "0,0");
        check("uri", "1,0");
        check("uri fetched", "1,0");
        check("uri fetched accept", "2,0");
        check("uri fetched accept update", "3,0");
        check("uri fetched accept update done", "0,1");
        check("uri fetched accept update fail", "0,8");
        check("uri fetched accept update defer", "2,11");
        check("uri fetched accept update defer update done", "0,1");
        check("image", "1,0");
        check("image accept update done", "0,1");
        check("image corrupt", "0,5");
        check("image corrupt image accept", "2,0");
        check("uri lost", "0,4");
        check("uri lost uri fetched accept", "2,0");
        check("uri fetched-large", "0,2");
        check("large", "0,2 4.00");
        check("junk", "0,7 4.00");
        check("name", "0,7 4.00");
        check("ftp", "0,9 4.00");
        check("junk none", "0,0 4.00");
        check("update", "0,0 4.05");
        check("uri update", "1,0 4.05");
        check("uri uri", "1,0 4.05");
        check("uri image", "1,0 4.05");
        check("uri none", "0,0");
        check("uri nul", "0,0");
        check("uri none fetched", "0,0 4.05");
        check("uri none lost", "0,0 4.05");
        check("image empty", "0,0");
        check("image none image accept-old", "1,0 4.05");
        check("image accept nul", "0,0");
        check("image accept uri", "1,0");
        check("image accept image accept", "2,0");
        check("uri cancel", "0,10");
        check("image accept cancel", "0,10");
        check("cancel", "0,0 4.05");
        check("image accept update cancel uri image none nul", "3,0 4.05 4.05 4.05 4.05 4.05");
        check("done fail", "0,0 4.05 4.05");
    }

    #[test]
    fn delivery_methods_are_obeyed() {
        let check = |delivery, script: &str, expected: &str| {
            assert_eq!(run(delivery, script), expected, "{delivery:?} {script}");
        };
        check(Delivery::Pull, "image", "0,0 4.05");
        check(Delivery::Pull, "uri", "1,0");
        check(Delivery::Push, "uri", "0,0 4.05");
        check(Delivery::Push, "image", "1,0");
    }

    #[test]
    fn effects_ask_for_the_work() {
        let mut object = object(Delivery::Both);
        object.write_uri(URI).unwrap();
        assert_eq!(object.uri(), URI);
        let expected = CoapUri::parse(URI).unwrap();
        assert_eq!(object.poll_effect(), Some(FirmwareEffect::StartDownload(expected)));
        assert_eq!(object.poll_effect(), None);
        object.write_uri("").unwrap();
        assert_eq!(object.poll_effect(), Some(FirmwareEffect::StopDownload));
        assert_eq!(object.uri(), "");
        object.write_package(Bytes::from_static(b"image")).unwrap();
        let Some(FirmwareEffect::CheckImage { id, image }) = object.poll_effect() else {
            panic!("no image to check");
        };
        assert_eq!(image, "image");
        assert!(object.accept(id));
        object.execute_update().unwrap();
        assert_eq!(object.poll_effect(), Some(FirmwareEffect::Install));
        assert!(object.install_succeeded("2.0"));
        assert_eq!((object.version(), object.name()), ("2.0", "app"));
    }

    #[test]
    fn a_restarted_device_reports_how_the_update_went() {
        let object = object(Delivery::Both).resume(UpdateResult::Success, "2.0");
        assert_eq!((object.state(), object.result()), (State::Idle, UpdateResult::Success));
        assert_eq!(object.version(), "2.0");
    }
}

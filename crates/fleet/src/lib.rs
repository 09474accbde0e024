//! Devices as known: registrations to devices, values to datamodels, changes to LwM2M requests.

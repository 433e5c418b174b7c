"""Zero-touch enrolment: a device with a one-time token gets its certificate and registers its interfaces."""

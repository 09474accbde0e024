//! CoAP endpoint without I/O: codec, message layer, observe, block-wise transfer.

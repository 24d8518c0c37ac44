import ByteIO
import Crypto

/// SHA-256 of `bytes`, 64 hexadecimal digits.
func sha256(_ bytes: [UInt8]) -> String { hexadecimal(SHA256.hash(data: bytes)) }

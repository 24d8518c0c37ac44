public import ByteIO

/// What a file is by its first bytes, for saying so when it is not what its name promises.
enum FileSignature {
  case gitLFSPointer, webPage, gzip, zip, npy, leank, gguf, safetensors
  case legacyTorch, legacyTorchTar, pickle

  /// The kind of `bytes`; nil when nothing known begins so.
  init?(_ bytes: Span<UInt8>) {
    let text = Self.openingText(bytes)
    // First, because a header length can begin with the bytes of any short magic number.
    if Self.isSafetensors(bytes) {
      self = .safetensors
    } else if bytes.starts(with: Array("version https://git-lfs".utf8)) {
      self = .gitLFSPointer
    } else if text.hasPrefix("<!doctype") || text.hasPrefix("<html") || text.hasPrefix("<?xml") {
      self = .webPage
    } else if bytes.starts(with: [0x1F, 0x8B]) {
      self = .gzip
    } else if bytes.starts(with: Array("PK".utf8) + [3, 4])
      || bytes.starts(with: Array("PK".utf8) + [5, 6])
    {
      self = .zip
    } else if bytes.starts(with: [0x93] + Array("NUMPY".utf8)) {
      self = .npy
    } else if bytes.starts(with: [0x8C] + Array("LNK".utf8))
      || bytes.starts(with: [0x89] + Array("LNK".utf8))  // a draft
    {
      self = .leank
    } else if bytes.starts(with: Array("GGUF".utf8)) {
      self = .gguf
    } else if bytes.starts(with: Self.legacyMagic) {
      self = .legacyTorch
    } else if bytes.starts(with: Array("ustar".utf8), at: 257)
      || bytes.starts(with: Array("pickle\0".utf8))
    {
      self = .legacyTorchTar
    } else if bytes.starts(with: [0x80]), bytes.count > 1, (2...5).contains(bytes[1]) {
      self = .pickle
    } else {
      return nil
    }
  }

  /// A pickle of torch's old magic number 0x1950a86a20f9469cfc6c.
  private static let legacyMagic: [UInt8] = [
    0x80, 0x02, 0x8A, 0x0A, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E,
  ]

  /// The first characters in lower case, white space skipped.
  private static func openingText(_ bytes: Span<UInt8>) -> String {
    var letters: [UInt8] = []
    for index in 0..<min(bytes.count, 64) {
      let byte = bytes[index]
      if letters.isEmpty, byte == 0x20 || (0x09...0x0D).contains(byte) { continue }
      letters.append((0x41...0x5A).contains(byte) ? byte | 0x20 : byte)
      if letters.count == 9 { break }
    }
    return String(decoding: letters, as: UTF8.self)
  }

  /// A header length that a file may have, and the bracket that the header begins with; `bytes` may
  /// be the beginning of a file only.
  private static func isSafetensors(_ bytes: Span<UInt8>) -> Bool {
    guard bytes.count > 8, bytes[8] == 0x7B else { return false }
    let length: UInt64 = bytes.littleEndian(at: 0)
    return length >= 2 && length <= UInt64(SafetensorsHeader.lengthLimit)
  }

  /// What to say of it, the way out included.
  var description: String {
    switch self {
    case .gitLFSPointer:
      "a Git LFS pointer, not the file it stands for: fetch that with git lfs pull"
    case .webPage: "a web page, probably an error page saved by a download"
    case .gzip: "a gzip file: unpack it first"
    case .zip: "a zip archive, as .npz and torch's .pth are"
    case .npy: "a numpy array: name it .npy"
    case .leank: "a .leank file"
    case .gguf: "a GGUF file"
    case .safetensors: "a safetensors file: name it .safetensors"
    case .legacyTorch: "in torch's format from before version 1.6"
    case .legacyTorchTar: "in torch's tar format from before version 0.2"
    case .pickle: "a bare pickle"
    }
  }
}

extension TensorFileError {
  /// The error for `bytes`, which do not begin as `expected` does.
  static func notA(_ expected: String, _ bytes: Span<UInt8>) -> TensorFileError {
    guard bytes.count > 0 else {
      return TensorFileError(.truncated, "empty file, expected \(expected)")
    }
    guard let signature = FileSignature(bytes) else {
      return TensorFileError(.otherFormat, "not \(expected)", at: .byte(0))
    }
    return TensorFileError(.otherFormat, "not \(expected) but \(signature.description)")
  }

  /// The error for a file named as safetensors that begins as another known format; nil where
  /// `bytes`, the file or its first few hundred bytes, are nothing else that is known.
  public static func misnamedSafetensors(_ bytes: Span<UInt8>) -> TensorFileError? {
    switch FileSignature(bytes) {
    case nil, .safetensors: nil
    default: .notA("a safetensors file", bytes)
    }
  }
}

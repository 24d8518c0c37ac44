public import ByteIO
public import LeanKCheckpoint
import TensorFiles

#if canImport(Darwin)
  import Darwin
#else
  import Glibc
#endif

/// The weights of a checkpoint directory, read from its shards by position. Weights of one byte an
/// element are read as f32, each element times its scale.
public struct CheckpointWeights: WeightSource {
  public let directory: CheckpointDirectory

  public init(_ directory: CheckpointDirectory) { self.directory = directory }

  public func tensor(named name: String) -> WeightInfo? {
    guard let (_, info) = directory.tensor(name) else { return nil }
    let isScaled = directory.scale(ofWeight: name) != nil
    return WeightInfo(scalar: isScaled ? .f32 : info.scalar, shape: info.shape)
  }

  public func read(
    _ name: String, from first: Int, into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    guard let (file, info) = directory.tensor(name), let width = info.scalar.byteWidth else {
      throw DecoderError(.missingTensor, "the checkpoint has no tensor \(quoted(name))")
    }
    guard let scale = directory.scale(ofWeight: name) else {
      return try unsafe Self.read(file, info, at: first * width, into: buffer)
    }
    let scaled = try scaledWeight(info, scale)
    // The codes go to the end of the buffer and are widened from its beginning: element i is read at
    // 3n + i and written at 4i, which is never behind it.
    let count = buffer.count / 4
    let codes = unsafe UnsafeMutableRawBufferPointer(rebasing: buffer[(buffer.count - count)...])
    try unsafe Self.read(file, info, at: first, into: codes)
    var index = 0
    while index < count {
      let run = scaled.run(from: first + index)
      let end = min(index + run.count, count)
      for element in index..<end {
        let value = scaled.values[Int(unsafe codes[element])] * run.scale
        unsafe buffer.storeBytes(
          of: value.bitPattern.littleEndian, toByteOffset: 4 * element, as: UInt32.self)
      }
      index = end
    }
  }

  /// Fails on the first of `names`, in byte order, that the decoder cannot read, before a long run
  /// does.
  public func requireReadable(_ names: some Sequence<String>) throws(DecoderError) {
    for name in names.sorted(by: { $0.utf8.lexicographicallyPrecedes($1.utf8) }) {
      guard let info = tensor(named: name) else {
        throw DecoderError(.missingTensor, "the checkpoint has no tensor \(quoted(name))")
      }
      guard ElementType(info.scalar) != nil else {
        throw DecoderError.unreadable(name, info.scalar)
      }
      if let scale = directory.scale(ofWeight: name), let weight = directory.tensor(name)?.info {
        _ = try scaledWeight(weight, scale)
      }
    }
  }

  private func scaledWeight(
    _ weight: TensorInfo, _ scale: WeightScale
  ) throws(DecoderError) -> ScaledWeight {
    guard let (file, info) = directory.tensor(scale.name),
      let element = ElementType(info.scalar)
    else { throw DecoderError.unreadable(scale.name, directory.tensor(scale.name)?.info.scalar) }
    var bytes = [UInt8](repeating: 0, count: info.range.count)
    var failure: DecoderError?
    unsafe bytes.withUnsafeMutableBytes { buffer in
      do throws(DecoderError) {
        try unsafe Self.read(file, info, at: 0, into: buffer)
      } catch {
        failure = error
      }
    }
    if let failure { throw failure }
    let scales = Kernels.best.widen(bytes.span, element)
    guard let scaled = ScaledWeight(scale, of: weight, scales: scales) else {
      throw DecoderError.unreadable(weight.name, weight.scalar)
    }
    return scaled
  }

  private static func read(
    _ file: SafetensorsFile, _ info: TensorInfo, at offset: Int,
    into buffer: UnsafeMutableRawBufferPointer
  ) throws(DecoderError) {
    do throws(TensorFileError) {
      try unsafe file.read(info, at: offset, into: buffer)
    } catch {
      throw DecoderError(
        .source(error.failureClass), error.detail, in: error.path ?? file.path)
    }
  }

  /// Asks the system to read the tensors while something else is computed. Only advice: failures
  /// show when the tensors are read.
  public func willRead(_ names: [String]) {
    for name in names {
      guard let (file, info) = directory.tensor(name) else { continue }
      let offset = file.header.dataStart + info.range.lowerBound
      #if canImport(Darwin)
        var advice = radvisory(ra_offset: off_t(offset), ra_count: CInt(clamping: info.range.count))
        _ = unsafe fcntl(file.file.descriptor, F_RDADVISE, &advice)
      #else
        _ = posix_fadvise(
          file.file.descriptor, off_t(offset), off_t(info.range.count), POSIX_FADV_WILLNEED)
      #endif
    }
  }
}

extension DecoderError {
  /// A tensor of a type that the decoder does not compute with.
  static func unreadable(_ name: String, _ scalar: ScalarType?) -> DecoderError {
    DecoderError(
      .scalarType,
      "tensor \(quoted(name)) is \(scalar?.rawValue ?? "missing"), the decoder computes with F32, F16 "
        + "and BF16, and with F8_E4M3, F8_E5M2 and I8 that have scales")
  }
}

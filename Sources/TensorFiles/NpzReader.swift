public import ByteIO

/// Reads numpy's `.npz` files: a zip archive of `.npy` members, stored or deflated.
public enum NpzReader {
  /// All arrays in `bytes`, in the order of the file, named by their members without `.npy`.
  ///
  /// Fails with the zip and npy codes of `TensorFileCode`; a npy error names the member.
  public static func read(
    _ bytes: Span<UInt8>, limits: TensorFileLimits = .standard
  ) throws(TensorFileError) -> [NamedTensor] {
    let archive = try ZipArchive(parsing: bytes, expected: "a npz file", limits: limits)
    var budget = limits.expansion
    var result: [NamedTensor] = []
    for entry in archive.entries {
      guard entry.name.hasSuffix(".npy"), entry.name != ".npy" else {
        throw TensorFileError(
          .zipName, "npz member \(quoted(entry.name)) is not named NAME.npy")
      }
      let content = try archive.content(of: entry, in: bytes, budget: &budget)
      do throws(TensorFileError) {
        let array =
          switch content {
          case .stored(let range): try NpyReader.read(bytes.extracting(range), limits: limits)
          case .inflated(let inflated): try NpyReader.read(inflated.span, limits: limits)
          }
        result.append(NamedTensor(name: String(entry.name.dropLast(4)), array: array))
      } catch {
        throw TensorFileError(error.code, error.detail, at: .key(entry.name))
      }
    }
    return result
  }
}

// swift-tools-version: 6.2
import PackageDescription

let strict: [SwiftSetting] = [
  .swiftLanguageMode(.v6),
  .strictMemorySafety(),
  .treatAllWarnings(as: .error),
  .enableUpcomingFeature("ExistentialAny"),
  .enableUpcomingFeature("InternalImportsByDefault"),
  .enableUpcomingFeature("MemberImportVisibility"),
]

let crypto: Target.Dependency = .product(name: "Crypto", package: "swift-crypto")
let numerics: Target.Dependency = .product(name: "RealModule", package: "swift-numerics")
let heap: Target.Dependency = .product(name: "HeapModule", package: "swift-collections")
let argumentParser: Target.Dependency = .product(
  name: "ArgumentParser", package: "swift-argument-parser")

func library(_ name: String, _ dependencies: [Target.Dependency] = []) -> Target {
  .target(name: name, dependencies: dependencies, swiftSettings: strict)
}

func tests(_ name: String, _ dependencies: [Target.Dependency]) -> Target {
  .testTarget(name: name, dependencies: dependencies + ["TestSupport"], swiftSettings: strict)
}

let package = Package(
  name: "leank",
  platforms: [.macOS(.v26)],
  products: [
    // Masks and their file format, for other people's programs.
    .library(name: "LeanK", targets: ["LeanKMask", "LeanKFormat"]),
    // Text to token ids and back, for other people's programs.
    .library(name: "LeanKTokenizer", targets: ["LeanKTokenizer"]),
    // Everything that reads files from strangers; the nested Fuzzing package uses it.
    .library(
      name: "LeanKReaders",
      targets: [
        "ByteIO", "Zstd", "StrictJSON", "LeanKMask", "LeanKFormat", "TensorFiles",
        "LeanKInterchange", "LeanKModel", "LeanKCheckpoint", "LeanKTokenizer",
      ]),
    // Everything behind the command line; the nested Benchmarks package uses it.
    .library(
      name: "LeanKTools",
      targets: [
        "ByteIO", "StrictJSON", "TensorFiles", "LeanKInterchange", "LeanKModel", "LeanKCheckpoint",
        "LeanKPruning", "LeanKReport", "LeanKDecoder", "LeanKLearn", "LeanKTokenizer",
        "LeanKCommands",
      ]),
    .executable(name: "leank", targets: ["leank"]),
  ],
  dependencies: [
    .package(url: "https://github.com/apple/swift-argument-parser", from: "1.8.0"),
    .package(url: "https://github.com/apple/swift-crypto", from: "4.0.0"),
    .package(url: "https://github.com/apple/swift-collections", from: "1.3.0"),
    .package(url: "https://github.com/apple/swift-numerics", from: "1.1.0"),
  ],
  targets: [
    .systemLibrary(
      name: "CZstd", pkgConfig: "libzstd",
      providers: [.apt(["libzstd-dev"]), .brew(["zstd"])]),
    .systemLibrary(
      name: "CZlib", pkgConfig: "zlib",
      providers: [.apt(["zlib1g-dev"]), .brew(["zlib"])]),
    .systemLibrary(
      name: "COpenBLAS", pkgConfig: "openblas",
      providers: [.apt(["libopenblas-dev"]), .brew(["openblas"])]),
    .target(name: "CKernels"),
    .target(name: "CFileSystem"),

    library("ByteIO", ["CFileSystem"]),
    library("Zstd", ["ByteIO", "CZstd"]),
    library("Zlib", ["ByteIO", "CZlib"]),
    library("StrictJSON", ["ByteIO"]),
    library("LeanKMask", [heap, numerics]),
    library(
      "LeanKFormat", ["LeanKMask", "ByteIO", "StrictJSON", "Zstd", "Zlib", crypto]),
    library("TensorFiles", ["ByteIO", "StrictJSON", "Zlib"]),
    library("LeanKInterchange", ["LeanKMask", "ByteIO", "StrictJSON", "TensorFiles"]),
    library("LeanKReport", ["LeanKMask", "ByteIO", numerics]),
    library("LeanKTokenizer", ["ByteIO", "StrictJSON"]),
    library("LeanKModel", ["LeanKMask", "ByteIO", "StrictJSON", numerics]),
    library(
      "LeanKCheckpoint", ["LeanKModel", "ByteIO", "StrictJSON", "TensorFiles", crypto]),
    library(
      "LeanKPruning",
      ["LeanKMask", "LeanKModel", "LeanKCheckpoint", "ByteIO", "StrictJSON", "TensorFiles", crypto]),
    library(
      "LeanKDecoder",
      [
        "LeanKMask", "LeanKModel", "LeanKCheckpoint", "TensorFiles", "ByteIO", "CKernels",
        "COpenBLAS", numerics,
      ]),
    library(
      "LeanKLearn",
      [
        "LeanKMask", "LeanKModel", "LeanKDecoder", "LeanKTokenizer", "TensorFiles", "ByteIO",
      ]),
    library(
      "LeanKCommands",
      [
        "LeanKMask", "LeanKFormat", "LeanKReport", "LeanKInterchange", "LeanKModel",
        "LeanKCheckpoint", "LeanKPruning", "LeanKDecoder", "LeanKLearn", "LeanKTokenizer",
        "TensorFiles", "StrictJSON", "ByteIO", crypto, argumentParser,
      ]),
    .executableTarget(
      name: "leank", dependencies: ["LeanKCommands", "CKernels", argumentParser],
      swiftSettings: strict),

    .target(
      name: "TestSupport", dependencies: ["ByteIO", "StrictJSON", "LeanKMask", "TensorFiles"],
      path: "Tests/TestSupport",
      swiftSettings: strict),
    tests("ByteIOTests", ["ByteIO"]),
    tests("StrictJSONTests", ["StrictJSON", "ByteIO"]),
    tests("LeanKMaskTests", ["LeanKMask"]),
    tests(
      "LeanKFormatTests",
      ["LeanKFormat", "LeanKMask", "ByteIO", "StrictJSON", "Zlib", "Zstd"]),
    tests("TensorFilesTests", ["TensorFiles", "ByteIO", "StrictJSON", "Zlib"]),
    tests(
      "LeanKInterchangeTests",
      ["LeanKInterchange", "LeanKMask", "TensorFiles", "ByteIO", "StrictJSON"]),
    tests("LeanKReportTests", ["LeanKReport", "LeanKMask", "LeanKInterchange"]),
    tests("LeanKTokenizerTests", ["LeanKTokenizer", "ByteIO", "StrictJSON"]),
    tests(
      "LeanKModelTests", ["LeanKModel", "LeanKCheckpoint", "LeanKMask", "ByteIO", "StrictJSON"]),
    tests(
      "LeanKCheckpointTests",
      ["LeanKCheckpoint", "LeanKModel", "LeanKMask", "TensorFiles", "ByteIO", "StrictJSON"]),
    tests(
      "LeanKPruningTests",
      [
        "LeanKPruning", "LeanKCheckpoint", "LeanKModel", "LeanKMask", "TensorFiles", "ByteIO",
        "StrictJSON",
      ]),
    tests(
      "LeanKDecoderTests",
      [
        "LeanKDecoder", "LeanKModel", "LeanKCheckpoint", "LeanKPruning", "LeanKInterchange",
        "LeanKMask", "TensorFiles", "StrictJSON", "ByteIO",
      ]),
    tests(
      "LeanKLearnTests",
      [
        "LeanKLearn", "LeanKDecoder", "LeanKModel", "LeanKCheckpoint", "LeanKMask",
        "LeanKTokenizer", "TensorFiles", "StrictJSON", "ByteIO",
      ]),
    tests(
      "LeanKCommandsTests",
      [
        "LeanKCommands", "LeanKLearn", "LeanKReport", "LeanKModel", "LeanKCheckpoint",
        "LeanKPruning",
        "LeanKFormat", "LeanKInterchange", "LeanKTokenizer", "LeanKMask", "TensorFiles",
        "StrictJSON", "ByteIO",
      ]),
  ]
)

/// Memory that encoding uses again and again: the machine of patterns, normal forms met before,
/// symbols of a word, and the words that are known.
struct Workspace {
  var machine = PatternMachine(budget: 0)
  var forms = NormalForms()
  var merger = BytePairMerger()
  var cache = WordCache()
}

# cmake -DPAGE=<folder> -DCHART=<chart.min.js> -DOUT=<file.cpp> -P JoinPage.cmake: the dashboard's page with its styles
# and scripts in it, as a C++ text.

# The parts of script/ in the order in which they are joined, all in one closure. A part may call any function of any
# other; what it runs while the page loads, which is its constants and variables, needs only those of parts before it.
# start, which sets everything going, is the last.
set(parts
  values format elements known fields        # what all others use: JSON that nobody trusts, texts, elements
  ends title notices progress                # the status, section by section
  charts time_split saves ranks damage
  curve_points curve_panels curve_tables     # /api/curves
  lineage lineage_list graph_drawing lineage_graph go_back find   # /api/lineage
  decision                                   # /api/decision
  feeds connection                           # how answers come in
  copying theme start)

file(GLOB there RELATIVE "${PAGE}/script" "${PAGE}/script/*")
list(TRANSFORM parts APPEND .js OUTPUT_VARIABLE names)
list(REMOVE_ITEM there ${names})
if(there)
  message(FATAL_ERROR "not among the parts of the page's script: ${there}")
endif()
set(SCRIPT "\"use strict\";\n(() => {\n")
foreach(name IN LISTS names)
  file(READ "${PAGE}/script/${name}" part)
  string(APPEND SCRIPT "${part}\n")
endforeach()
string(APPEND SCRIPT "})();")

file(READ "${PAGE}/page.html" page)
file(READ "${PAGE}/page.css" STYLE)
file(READ "${CHART}" CHART)
foreach(place IN ITEMS STYLE CHART SCRIPT)
  if("${${place}}" MATCHES "</(script|style)")
    message(FATAL_ERROR "${place} of the page would end its own element")
  endif()
  string(REPLACE "@${place}@" "${${place}}" page "${page}")
endforeach()
file(WRITE "${OUT}.html" "${page}")

# As bytes: a literal may hold neither so many characters nor any delimiter that is sure not to occur.
file(READ "${OUT}.html" bytes HEX)
string(REGEX REPLACE "(................................................................)" "\\1\n" bytes "${bytes}")
string(REGEX REPLACE "([0-9a-f][0-9a-f])" "'\\\\x\\1'," bytes "${bytes}")
file(WRITE "${OUT}" "#include <string_view>

namespace lockstep {
namespace {
constexpr char kBytes[] = {
${bytes}};
}  // namespace
extern const std::string_view kDashboardPage;
const std::string_view kDashboardPage(kBytes, sizeof kBytes);
}  // namespace lockstep
")

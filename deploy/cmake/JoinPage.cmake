# cmake -DPAGE=<folder> -DCHART=<chart.min.js> -DOUT=<file.cpp> -P JoinPage.cmake: the dashboard's page with its styles
# and scripts in it, as a C++ text.
file(READ "${PAGE}/page.html" page)
foreach(part IN ITEMS STYLE:page.css SCRIPT:page.js)
  string(REPLACE ":" ";" part "${part}")
  list(GET part 0 place)
  list(GET part 1 name)
  file(READ "${PAGE}/${name}" ${place})
endforeach()
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
